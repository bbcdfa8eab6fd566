"""Which test cases of a report a selector (`path` or `path::name`) means. Pure.

pytest's report names no file, only a dotted class name that starts with the module (`tests.test_x.TestC`), relative
to its own root folder, which may lie below the repository's. Other tools name the file.
"""

import re
from collections.abc import Iterable, Sequence

from pipeline.junit import TestCase

_SEPARATOR = re.compile(r"::(?![^\[]*\])")


def split(selector: str) -> tuple[str, tuple[str, ...]]:
    """Return a selector's path and the names after it; a `::` inside a parameter's brackets separates nothing."""
    path, *names = _SEPARATOR.split(selector)
    return path, tuple(names)


def matching(selector: str, cases: Iterable[TestCase]) -> tuple[TestCase, ...]:
    """Return the cases a selector means: all of a file or folder, of a class, or of a test with its parameters."""
    path, names = split(selector)
    found = _below(path, cases)
    return tuple(case for case, rest in found if _is_named(names, rest, case.name))


def _below(path: str, cases: Iterable[TestCase]) -> list[tuple[TestCase, tuple[str, ...]]]:
    """Return the cases in a file or folder with the classes around them.

    Leading folders of `path` are dropped until the report knows the first one left: that is where its root is.
    """
    known = list(cases)
    components = path.strip("/").split("/")
    for start in range(len(components)):
        if any(_inside(components[start : start + 1], case) is not None for case in known):
            rests = ((case, _inside(components[start:], case)) for case in known)
            return [(case, rest) for case, rest in rests if rest is not None]
    return []


def _inside(components: Sequence[str], case: TestCase) -> tuple[str, ...] | None:
    """Return the classes around a case when it lies below these path components, else None."""
    module = tuple(".".join(components).removesuffix(".py").split("."))
    dotted = tuple((case.classname or case.name).split("."))
    if case.file is not None:
        file = tuple(case.file.removeprefix("./").split("/"))
        if file[: len(components)] != tuple(components):
            return None
        stem = tuple(".".join(file).removesuffix(".py").split("."))
        return dotted[len(stem) :] if dotted[: len(stem)] == stem else ()
    if case.classname == "/".join(components):
        return ()
    return dotted[len(module) :] if dotted[: len(module)] == module else None


def _is_named(names: tuple[str, ...], rest: tuple[str, ...], name: str) -> bool:
    if not names or rest[: len(names)] == names:
        return True
    *classes, last = names
    if rest and rest != tuple(classes):
        return False
    return name == last or ("[" not in last and name.partition("[")[0] == last)
