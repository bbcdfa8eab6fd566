"""What exists when an item's turn comes: the tree so far, and what the items before it declare."""

import difflib
from posixpath import basename, dirname

from pipeline.judging.selectors import split
from pipeline.judging.symbols import enclosing, is_readable, symbols
from pipeline.judging.tree_view import TreeView
from sandbox.judgement import fold
from stages.artifacts import FileChange, WorkItem

_SUGGESTIONS = 3


class Ground:
    """Files, folders and symbols, moved on item by item."""

    def __init__(self, view: TreeView) -> None:
        self._view = view
        self._files = set(view.paths())
        self._folders = {folder for path in self._files for folder in _folders(path)}
        self._folded = {fold(name): name for name in self._folders | self._files}
        self._symbols: dict[str, set[str] | None] = {}
        self._named: dict[str, str] = {}

    def has_file(self, path: str) -> bool:
        """Tell whether the file is there by now."""
        return path in self._files

    def has_folder(self, path: str) -> bool:
        """Tell whether any file lies below this path."""
        return path in self._folders

    def file_above(self, path: str) -> str | None:
        """Return the file (or symlink) that stands where `path` needs a folder."""
        return next((folder for folder in _folders(path) if folder in self._files), None)

    def twin(self, path: str) -> str | None:
        """Return what exists under a spelling that only case or accents' encoding tells apart."""
        for name in (*_folders(path), path):
            other = self._folded.get(fold(name))
            if other is not None and other != name and name not in self._files | self._folders:
                return other
        return None

    def namesakes(self, path: str) -> list[str]:
        """Return a few files that may have been meant: of the same spelling but for case, or of the same name."""
        same = self._folded.get(fold(path))
        if same in self._files:
            return [same]
        return sorted(file for file in self._files if basename(file) == basename(path))[:_SUGGESTIONS]

    def symbols_of(self, path: str) -> set[str] | None:
        """Return a file's symbols by now; None when they cannot be known."""
        if path not in self._symbols:
            source = self._view.read(path)
            found = symbols(path, source) if source is not None else None
            self._symbols[path] = None if found is None else set(found)
        return self._symbols[path]

    def resembling(self, path: str, symbol: str) -> list[str]:
        """Return a few symbols of the file that may have been meant."""
        known = sorted(self.symbols_of(path) or ())
        last = symbol.rpartition(".")[2]
        same = [name for name in known if name.rpartition(".")[2] == last]
        return (same or difflib.get_close_matches(symbol, known))[:_SUGGESTIONS]

    def names_test_in(self, path: str) -> str | None:
        """Return the item, if any, that counts on a test in this file."""
        return self._named.get(path)

    def count_on(self, item: WorkItem) -> None:
        """Remember which files hold the tests an item names: they have to pass to the end."""
        self._named |= {path: item.id for path, names in map(split, item.tests) if names}

    def declare(self, item: WorkItem) -> None:
        """Move on: from here on this item's files and symbols are as it says."""
        self.count_on(item)
        for file in item.files:
            if file.operation == "create":
                self._create(file)
            elif file.operation == "delete":
                self._files.discard(file.path)
                self._symbols[file.path] = set()
            else:
                self._modify(file)
        self._folders = {folder for path in self._files for folder in _folders(path)}

    def _create(self, file: FileChange) -> None:
        self._files.add(file.path)
        for name in (*_folders(file.path), file.path):
            self._folded.setdefault(fold(name), name)
        named = {name for symbol in file.symbols for name in enclosing(symbol.name)}
        # An item that names no symbol of its new file may put any there.
        self._symbols[file.path] = named if named and is_readable(file.path) else None

    def _modify(self, file: FileChange) -> None:
        known = self.symbols_of(file.path)
        if known is None:
            return
        for symbol in file.symbols:
            if symbol.operation == "add":
                known.update(enclosing(symbol.name))
            elif symbol.operation == "remove":
                known.difference_update([name for name in known if symbol.name in enclosing(name)])


def _folders(path: str) -> list[str]:
    folders = []
    while path := dirname(path):
        folders.append(path)
    return folders[::-1]
