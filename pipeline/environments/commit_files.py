"""Reads files of one commit, never of a work tree; links are not followed."""

from collections.abc import Iterable, Mapping
from typing import Self

from pipeline.git.command import Git

LARGEST_TEXT = 1 << 20
FILE_MODES = ("100644", "100755")


class CommitFiles:
    """The files of a commit by path: `entries` has the mode and object id of each."""

    def __init__(self, git: Git, entries: Mapping[str, tuple[str, str]]) -> None:
        self._git = git
        self.entries = entries

    @classmethod
    def of(cls, git: Git, commit: str) -> Self:
        """List the files of a commit.

        :raises GitError: it cannot be read.
        """
        entries = {}
        for line in filter(None, git.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")):
            facts, _, path = line.partition(b"\t")
            mode, kind, identifier = facts.decode().split(" ")
            if kind == "blob":
                entries[path.decode(errors="surrogateescape")] = (mode, identifier)
        return cls(git, entries)

    def below(self, folder: str) -> Self:
        """Return the files of a folder alone, named from there; an empty folder is the root."""
        prefix = f"{folder}/" if folder else ""
        inside = {path.removeprefix(prefix): entry for path, entry in self.entries.items() if path.startswith(prefix)}
        return type(self)(self._git, inside)

    def text(self, path: str) -> str | None:
        """Return a regular file's text; None when there is none or it is larger than a megabyte."""
        mode, identifier = self.entries.get(path, ("", ""))
        if mode not in FILE_MODES or self.sizes([path])[path] > LARGEST_TEXT:
            return None
        return self._git.run("cat-file", "blob", identifier).decode(errors="replace")

    def sizes(self, paths: Iterable[str]) -> dict[str, int]:
        """Return how many bytes each of these files has."""
        names = list(paths)
        lines = self._git.run("cat-file", "--batch-check", stdin=self._listing(names)).decode().splitlines()
        return {path: int(line.split(" ")[2]) for path, line in zip(names, lines, strict=True)}

    def contents(self, paths: Iterable[str]) -> list[tuple[str, str, bytes]]:
        """Return (path, mode, bytes) of each of these files; of a link, the bytes are its target."""
        names = list(paths)
        stream = self._git.run("cat-file", "--batch", stdin=self._listing(names))
        found, position = [], 0
        for path in names:
            end = stream.index(b"\n", position)
            size = int(stream[position:end].split(b" ")[2])
            found.append((path, self.entries[path][0], stream[end + 1 : end + 1 + size]))
            position = end + 1 + size + 1
        return found

    def _listing(self, paths: list[str]) -> bytes:
        return "".join(f"{self.entries[path][1]}\n" for path in paths).encode()
