"""Snapshots as git trees in the run's own object folder: write them, compare them, read files out of them."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import GitError
from pipeline.git.blobs import BlobReader
from pipeline.git.command import Git
from sandbox.base import BaseTree, Snapshot, UnacceptableChangeError
from sandbox.judgement import Judge

_ABSENT = "0" * 40
_DIFF = (
    "diff-tree",
    "-r",
    "-p",
    "--binary",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-color",
    "--ignore-submodules=all",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--unified=3",
    "--diff-algorithm=myers",
)


class TreeStore:
    """The trees of one run: each is the base commit's plus one snapshot."""

    def __init__(self, git: Git, base: BaseTree) -> None:
        self._git = git
        self._base = base
        self._judge = Judge(base)
        self._blobs = BlobReader(git, base)

    def write(self, snapshot: Snapshot) -> str:
        """Store base plus `snapshot` and return the tree's id; the user's files and index are not involved.

        :raises GitError: something no change may hold, whatever extraction let through, or git failed.
        """
        self._admit(snapshot)
        with tempfile.TemporaryDirectory(prefix="stagewright-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git.run("read-tree", f"{self._base.commit}^{{tree}}", environment=index)
            changes = self._index_lines(snapshot, Path(folder))
            if changes:
                self._git.run("update-index", "-z", "--index-info", stdin=changes, environment=index)
            return self._git.run("write-tree", environment=index).decode().strip()

    def diff(self, old: Snapshot, new: Snapshot) -> str:
        """Return a patch from `old` to `new` that `git apply` takes, binary files included."""
        patch = self._git.run(*_DIFF, self.write(old), self.write(new))
        return patch.decode(errors="surrogateescape")

    def read_file(self, path: str, snapshot: Snapshot) -> bytes | None:
        """Return a file's exact bytes (of a symlink: its target), None when there is no such file."""
        if path in snapshot.files:
            state = snapshot.files[path]
            return state.content if state else None
        return self._blobs.read(path)

    def paths(self, snapshot: Snapshot) -> frozenset[str]:
        """Return the path of every file of base plus `snapshot`."""
        kept = {path for path, state in snapshot.files.items() if state is not None}
        return frozenset((self._base.entries.keys() - snapshot.files.keys()) | kept)

    def _admit(self, snapshot: Snapshot) -> None:
        try:
            self._judge.refuse(snapshot.files)
        except UnacceptableChangeError as refusal:
            raise GitError(f"the change cannot be stored ({refusal.code}): {refusal}") from refusal

    def _index_lines(self, snapshot: Snapshot, folder: Path) -> bytes:
        written = [(path, state) for path, state in snapshot.files.items() if state is not None]
        names = self._hashed((state.content for _, state in written), folder)
        # Deletions first: a file may make way for a folder of its name.
        lines = [f"0 {_ABSENT}\t{path}" for path, state in snapshot.files.items() if state is None]
        lines += [f"{state.mode} {name}\t{path}" for (path, state), name in zip(written, names, strict=True)]
        return b"".join(line.encode() + b"\0" for line in lines)

    def _hashed(self, contents: Iterable[bytes], folder: Path) -> list[str]:
        files = []
        for number, content in enumerate(contents):
            files.append(folder / str(number))
            files[-1].write_bytes(content)
        if not files:
            return []
        listing = "".join(f"{file}\n" for file in files).encode()
        return self._git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listing).decode().split()
