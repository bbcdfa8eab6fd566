"""The gates on one work item: its files, symbols and tests, against the ground it starts from. Pure."""

from collections.abc import Iterator

from pipeline.judging.ground import Ground
from pipeline.judging.path_rules import malformed
from pipeline.judging.rejection import Rejection
from pipeline.judging.selectors import split
from pipeline.judging.symbols import is_readable
from stages.artifacts import FileChange, SymbolChange, WorkItem


def file_rejections(item: WorkItem, ground: Ground) -> Iterator[Rejection]:
    """Yield the files and symbols that exist, or do not, against what their operation says."""
    for file in item.files:
        place = f"{item.id}: {file.path}"
        if malformed(file.path, place):
            continue  # said already
        problem = _not_creatable(file, place, ground) if file.operation == "create" else _absent(file, place, ground)
        problem = problem or _counted_on(file, place, ground)
        if problem:
            yield problem
        else:
            yield from _symbol_rejections(file, place, ground)


def test_rejections(item: WorkItem, ground: Ground) -> Iterator[Rejection]:
    """Yield the tests whose file is neither there nor created up to this item; `ground` includes the item itself."""
    for test in item.tests:
        path, names = split(test)
        path = path.removesuffix("/")
        if ground.has_file(path) or (not names and ground.has_folder(path)):
            continue
        found = ground.namesakes(path)
        yield Rejection(
            "missing_test_file",
            f"{item.id}: test {test}",
            f"{path} neither exists nor is created by an item up to this one{_meant(found)}",
            expected="a test file that exists, or is listed with operation create",
            actual="no such file",
        )


test_rejections.__test__ = False  # type: ignore[attr-defined] # its name is not a test's


def _not_creatable(file: FileChange, place: str, ground: Ground) -> Rejection | None:
    if ground.has_file(file.path):
        return Rejection(
            "file_exists",
            place,
            "the file is there already; use operation modify",
            expected="no such file",
            actual="exists",
        )
    if ground.has_folder(file.path):
        return Rejection("file_exists", place, "a folder has this name", expected="no such path", actual="a folder")
    if above := ground.file_above(file.path):
        return Rejection("not_a_folder", place, f"{above} is a file or a symlink, so nothing can be below it")
    if twin := ground.twin(file.path):
        return Rejection(
            "path_case", place, f"it differs from {twin} only in case or encoding", expected=twin, actual=file.path
        )
    return None


def _absent(file: FileChange, place: str, ground: Ground) -> Rejection | None:
    if ground.has_file(file.path):
        return None
    found = ground.namesakes(file.path)
    kind = "is a folder" if ground.has_folder(file.path) else "does not exist"
    return Rejection(
        "missing_file",
        place,
        f"there is nothing to {file.operation}: the path {kind} when this item's turn comes{_meant(found)}",
        expected="an existing file",
        actual=kind,
    )


def _counted_on(file: FileChange, place: str, ground: Ground) -> Rejection | None:
    item = ground.names_test_in(file.path)
    if file.operation != "delete" or item is None:
        return None
    return Rejection(
        "deletes_test", place, f"{item} names a test of this file, which has to pass to the end", expected="no deletion"
    )


def _symbol_rejections(file: FileChange, place: str, ground: Ground) -> Iterator[Rejection]:
    if not is_readable(file.path):
        return
    known = set() if file.operation == "create" else ground.symbols_of(file.path)
    if known is None:
        return
    for symbol in file.symbols:
        yield from _symbol_rejection(
            symbol, f"{place}: {symbol.name}", known, ground.resembling(file.path, symbol.name)
        )


def _symbol_rejection(symbol: SymbolChange, place: str, known: set[str], meant: list[str]) -> Iterator[Rejection]:
    if symbol.operation == "add" and symbol.name in known:
        yield Rejection(
            "symbol_exists",
            place,
            "the symbol is there already; use modify",
            expected="no such symbol",
            actual="exists",
        )
    if symbol.operation != "add" and symbol.name not in known:
        yield Rejection(
            "missing_symbol",
            place,
            f"there is no such symbol to {symbol.operation} when this item's turn comes{_meant(meant)}",
            expected="an existing symbol, dotted from its module",
            actual="no such symbol",
        )


def _meant(candidates: list[str]) -> str:
    return f"; did you mean {' or '.join(candidates)}?" if candidates else ""
