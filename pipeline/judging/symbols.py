"""The symbols a source file declares, dotted from its module, read without running it. Pure."""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Literal

Kind = Literal["definition", "variable", "import"]
_PYTHON = (".py", ".pyi")


def symbols(path: str, source: bytes) -> frozenset[str] | None:
    """Return functions, classes, methods and assigned names (`Class.method`), nothing inside a function.

    None for a file that cannot be read: another language, or no valid Python of this interpreter's version.
    """
    kinds = declared(path, source)
    return None if kinds is None else frozenset(name for name, kind in kinds.items() if kind != "import")


def lost_symbols(path: str, before: bytes, after: bytes) -> frozenset[str]:
    """Return what an edit removed: functions, classes, methods and public names of the module.

    A name that is imported now was moved and is still there. A file that no longer parses is searched as text.
    """
    kinds = declared(path, before)
    if kinds is None:
        return frozenset()
    now = declared(path, after)
    guarded = {name for name, kind in kinds.items() if kind == "definition" or _is_public_variable(name, kind)}
    if now is not None:
        return frozenset(guarded - now.keys())
    text = after.decode(errors="replace")
    return frozenset(name for name in guarded if not _is_mentioned(name.rpartition(".")[2], text))


def is_readable(path: str) -> bool:
    """Tell whether symbols of this kind of file can be read at all."""
    return path.endswith(_PYTHON)


def enclosing(name: str) -> tuple[str, ...]:
    """Return a dotted name and every name around it, the outermost first."""
    parts = name.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts) + 1))


def declared(path: str, source: bytes) -> dict[str, Kind] | None:
    """Return every name a Python module binds for good, with what kind of thing it is; None when unreadable."""
    if not is_readable(path):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names: dict[str, Kind] = {}
    for name, kind in _bound(module.body, ""):
        # A name bound twice (`try: import x` / `except: x = None`) is what it is most: a definition first.
        names[name] = "definition" if "definition" in (kind, names.get(name)) else kind
    return names


def _is_public_variable(name: str, kind: Kind) -> bool:
    return kind == "variable" and "." not in name and not name.startswith("_")


def _is_mentioned(name: str, text: str) -> bool:
    return re.search(rf"^\s*(?:async\s+)?(?:def|class)\s+{name}\b|^\s*{name}\s*[:=]", text, re.MULTILINE) is not None


def _bound(statements: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, Kind]]:
    for statement in statements:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield f"{prefix}{name}", "definition"
            case ast.ClassDef(name=name, body=body):
                yield f"{prefix}{name}", "definition"
                yield from _bound(body, f"{prefix}{name}.")
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((f"{prefix}{alias.asname or alias.name.partition('.')[0]}", "import") for alias in aliases)
            case _:
                yield from ((f"{prefix}{name}", "variable") for name in _assigned(statement))
                for block in _blocks(statement):
                    yield from _bound(block, prefix)


def _assigned(statement: ast.stmt) -> Iterator[str]:
    targets: Sequence[ast.expr] = ()
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and _is_store(node))


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the bodies of `if`, `try`, `with`, `for`, `while` and `match`, where declarations may stand as well."""
    for field in ("body", "orelse", "finalbody"):
        if block := getattr(statement, field, None):
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body
