"""Judges a whole change against its base, on either side of the wall: inside's claim, and what the host stores."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import get_args

from sandbox.acceptance import LINK_MODE, refuse_count, refuse_link, refuse_path, refuse_sizes
from sandbox.base import BaseTree, FileMode, FileState, UnacceptableChangeError

MODES = get_args(FileMode)


def fold(path: str) -> str:
    """Return what paths have in common that some file systems take for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class Judge:
    """Knows a base and judges changes to it."""

    def __init__(self, base: BaseTree) -> None:
        self._base = base

    def refuse(self, files: Mapping[str, FileState | None]) -> None:
        """Refuse a change that may not become a commit; None is a deleted file.

        :raises UnacceptableChangeError: with the code of the first thing wrong.
        """
        refuse_count(len(files))
        for path, state in files.items():
            refuse_path(path)
            self._refuse_submodule(path)
            if state is not None:
                _refuse_state(path, state)
        refuse_sizes({path: len(state.content) for path, state in files.items() if state is not None})
        self.refuse_names(files)

    def refuse_names(self, files: Mapping[str, object]) -> None:
        """Refuse added paths that another path of the tree that comes out stands in the way of.

        :raises UnacceptableChangeError: `conflict` (a file where a folder is needed) or `same_name` (paths that only
            case or the encoding of accents tells apart).
        """
        added = [path for path, state in files.items() if state is not None and path not in self._base.entries]
        if not added:
            return
        tree = _Tree(self._base.entries.keys() | self._base.submodules, files)
        here: dict[str, str] = {}
        for path in added:
            self._refuse_conflict(path, tree)
            for name in (*_folders(path), path):
                first = here.setdefault(fold(name), name)
                twin = first if first != name else self._twin(name, tree)
                if twin is not None:
                    reason = f"differs from {ascii(twin)[1:-1]} only in case or in how accents are encoded"
                    raise UnacceptableChangeError("same_name", path, reason)

    def _refuse_submodule(self, path: str) -> None:
        for name in (*_folders(path), path):
            if name in self._base.submodules:
                raise UnacceptableChangeError("submodule", path, "submodules cannot be changed, nor what is in them")

    def _refuse_conflict(self, path: str, tree: "_Tree") -> None:
        above = next((folder for folder in _folders(path) if folder in tree), None)
        if above is not None:
            raise UnacceptableChangeError("conflict", path, f"{above} is a file or a symlink, and nothing can be below")
        if path in self._base_folders and tree.has_below(path):
            raise UnacceptableChangeError("conflict", path, "is a folder with files in it, and cannot be a file too")

    def _twin(self, name: str, tree: "_Tree") -> str | None:
        others = self._spellings.get(fold(name), frozenset()) - {name}
        return next((other for other in sorted(others) if other in tree or tree.has_below(other)), None)

    @cached_property
    def _base_folders(self) -> frozenset[str]:
        return frozenset(folder for path in self._base.entries for folder in _folders(path))

    @cached_property
    def _spellings(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for name in (*self._base_folders, *self._base.entries, *self._base.submodules):
            key = fold(name)
            found[key] = found.get(key, frozenset()) | {name}
        return found


class _Tree:
    """The paths of the tree that comes out: those of the base with a change applied."""

    def __init__(self, base: Collection[str], files: Mapping[str, object]) -> None:
        self._base = base
        self._files = files

    def __contains__(self, path: str) -> bool:
        return self._files[path] is not None if path in self._files else path in self._base

    def has_below(self, folder: str) -> bool:
        """Tell whether a file lies below; asked only where names meet, so it may look at every path."""
        prefix = f"{folder}/"
        return any(path.startswith(prefix) and path in self for path in (*self._base, *self._files))


def _refuse_state(path: str, state: FileState) -> None:
    if state.mode not in MODES:
        raise UnacceptableChangeError("mode", path, f"has mode {state.mode}; only files and symlinks can be kept")
    if state.mode == LINK_MODE:
        refuse_link(path, state.content)


def _folders(path: str) -> Iterator[str]:
    position = path.find("/")
    while position > 0:
        yield path[:position]
        position = path.find("/", position + 1)
