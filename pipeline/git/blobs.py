"""Read files of the base commit, many of a kind at once, because starting git is what costs."""

from posixpath import splitext

from pipeline.git.command import Git
from sandbox.base import BaseTree

# Reading one file of a kind brings its kin along while they are small and few enough to keep.
_KEPT_BYTES = 64 << 20
_KIN_BYTES = 256 << 10
_KIN_FILES = 4_000


class BlobReader:
    """The contents of the base commit's files, cached."""

    def __init__(self, git: Git, base: BaseTree) -> None:
        self._git = git
        self._base = base
        self._kept: dict[str, bytes] = {}
        self._room = _KEPT_BYTES
        self._looked_at: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when the base has no such file."""
        entry = self._base.entries.get(path)
        if entry is None:
            return None
        identifier = entry[1]
        suffix = splitext(path)[1]
        if identifier not in self._kept and suffix not in self._looked_at:
            self._looked_at.add(suffix)
            self._bring(suffix)
        if identifier in self._kept:
            return self._kept[identifier]
        return self._git.run("cat-file", "blob", identifier)

    def _bring(self, suffix: str) -> None:
        kin = [path for path in sorted(self._base.entries) if splitext(path)[1] == suffix]
        chosen = []
        for name, size in self._sizes([self._base.entries[path][1] for path in kin[:_KIN_FILES]]):
            if size <= min(_KIN_BYTES, self._room):
                self._room -= size
                chosen.append(name)
        self._kept |= _contents(self._git.run("cat-file", "--batch", stdin=_listing(chosen)))

    def _sizes(self, names: list[str]) -> list[tuple[str, int]]:
        lines = self._git.run("cat-file", "--batch-check", stdin=_listing(names)).decode().splitlines()
        return [(name, int(size)) for name, _, size in (line.split(" ") for line in lines)]


def _listing(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _contents(stream: bytes) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    position = 0
    while position < len(stream):
        end = stream.index(b"\n", position)
        name, _, size = stream[position:end].decode().split(" ")
        start = end + 1
        contents[name] = stream[start : start + int(size)]
        position = start + int(size) + 1
    return contents
