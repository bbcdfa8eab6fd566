"""The receipt: proof that a run left the user's checkout as it was, the new branch excepted."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.git.command import Git
from pipeline.git.repository import Repository
from stages.artifacts import Frozen

_LISTED_CHANGES = 100
_OWN_FILES = ("HEAD", "index", "config.worktree", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
_SHARED_FILES = (
    "config",
    "shallow",
    "info/exclude",
    "info/attributes",
    "info/sparse-checkout",
    "objects/info/alternates",
)


class Receipt(Frozen):
    """What a checkout was at one moment.

    `references` maps names to object ids, `settings` git's own files (config, index, HEAD, hooks) to their
    SHA-256, `work_tree` paths to mode, size in bytes and mtime in nanoseconds (of folders the mode alone).
    """

    references: dict[str, str]
    settings: dict[str, str]
    work_tree: dict[str, tuple[int, int, int]]


class ReceiptReport(Frozen):
    """Two receipts compared. `changes` names at most 100 differences, `more` counts the rest."""

    unchanged: bool
    changes: tuple[str, ...] = ()
    more: int = 0
    before: dict[str, str]
    after: dict[str, str]


def take(repository: Repository, *, leave_out: Sequence[Path] = ()) -> Receipt:
    """Return the receipt of a checkout; `leave_out` are folders of our own that lie inside it.

    :raises GitError: the references cannot be read.
    """
    listing = Git(repository.path).run("for-each-ref", "--format=%(refname)%00%(objectname)%00%(symref)")
    references = {}
    for line in listing.decode(errors="backslashreplace").splitlines():
        name, identifier, symbolic = line.split("\0")
        references[name] = f"{identifier} -> {symbolic}" if symbolic else identifier
    skipped = {str(path.absolute()) for path in leave_out} | {str(repository.path / ".git")}
    return Receipt(
        references=references,
        settings=dict(_settings(repository)),
        work_tree=dict(_walk(os.fsencode(repository.path), {os.fsencode(path) for path in skipped})),
    )


def compare(before: Receipt, after: Receipt, *, new_branch: str | None) -> ReceiptReport:
    """Return what differs; the branch the run published is expected. Pure."""
    expected = {f"refs/heads/{new_branch}"} if new_branch else set()
    references = {name: value for name, value in after.references.items() if name not in expected}
    earlier = {name: value for name, value in before.references.items() if name not in expected}
    changes = [
        *_differences("ref", earlier, references),
        *_differences("git file", before.settings, after.settings),
        *_differences("file", before.work_tree, after.work_tree),
    ]
    return ReceiptReport(
        unchanged=not changes,
        changes=tuple(changes[:_LISTED_CHANGES]),
        more=max(0, len(changes) - _LISTED_CHANGES),
        before=_digests(before, earlier),
        after=_digests(after, references),
    )


def _differences(kind: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [f"{kind} {name} {_verb(name in before, name in after)}" for name in names]


def _verb(was: bool, is_there: bool) -> str:  # noqa: FBT001 - two answers to one question
    if was and is_there:
        return "changed"
    return "removed" if was else "added"


def _digests(receipt: Receipt, references: Mapping[str, str]) -> dict[str, str]:
    parts: dict[str, Mapping[str, object]] = {
        "refs": references,
        "git_files": receipt.settings,
        "work_tree": receipt.work_tree,
    }
    return {name: hashlib.sha256(repr(sorted(part.items())).encode()).hexdigest() for name, part in parts.items()}


def _settings(repository: Repository) -> Iterator[tuple[str, str]]:
    files = [repository.git_dir / name for name in _OWN_FILES]
    files += [repository.common_dir / name for name in _SHARED_FILES]
    hooks = repository.common_dir / "hooks"
    files += sorted(hooks.iterdir()) if hooks.is_dir() else []
    for file in files:
        if file.is_file():
            yield _spelled(os.fsencode(os.path.relpath(file, repository.path))), _digest(file)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _walk(folder: bytes, skipped: set[bytes]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    waiting = [folder]
    start = len(folder.rstrip(b"/")) + 1
    while waiting:
        for path, state in _scanned(waiting.pop()):
            if path in skipped:
                continue
            if stat.S_ISDIR(state.st_mode):
                waiting.append(path)
                yield _spelled(path[start:]), (state.st_mode, 0, 0)
            else:
                yield _spelled(path[start:]), (state.st_mode, state.st_size, state.st_mtime_ns)


def _scanned(folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    # A folder that was removed meanwhile or is not ours to read: its own entry is in the receipt already.
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                yield entry.path, entry.stat(follow_symlinks=False)


def _spelled(path: bytes) -> str:
    return path.decode(errors="backslashreplace")
