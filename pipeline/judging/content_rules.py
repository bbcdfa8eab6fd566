"""The gates on what a change makes of a file's content, whatever its item says. Pure."""

from collections.abc import Iterator

from pipeline.judging.rejection import Rejection
from pipeline.judging.tree_view import ChangeView
from stages.artifacts import WorkItem

LFS = b"version https://git-lfs.github.com/spec/"


def pointer_rejections(before: ChangeView, after: ChangeView, item: WorkItem) -> Iterator[Rejection]:
    """Yield the files Git LFS keeps elsewhere, whose pointer was replaced by something else."""
    for file in item.files:
        was, now = before.read(file.path), after.read(file.path)
        if was is not None and now is not None and was.startswith(LFS) and not now.startswith(LFS):
            yield Rejection(
                "lfs_pointer",
                file.path,
                "Git LFS keeps this file elsewhere; content cannot take the place of its pointer here",
                expected="the pointer, or the file deleted",
                actual="other content",
            )
