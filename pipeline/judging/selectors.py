"""Which test cases of a report a selector (`path` or `path::name`) means. Pure.

pytest's report names no file, only a dotted class name that starts with the module (`tests.test_x.TestC`), relative
to its own root folder, which may lie below the repository's. Other tools name the file.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.judging.junit import TestCase

_SEPARATOR = re.compile(r"::(?![^\[]*\])")


def split(selector: str) -> tuple[str, tuple[str, ...]]:
    """Return a selector's path and the names after it; a `::` inside a parameter's brackets separates nothing."""
    path, *names = _SEPARATOR.split(selector)
    return path, tuple(names)


def matching(selector: str, cases: Iterable[TestCase]) -> tuple[TestCase, ...]:
    """Return the cases a selector means: all of a file or folder, of a class, or of a test with its parameters."""
    path, names = split(selector)
    return tuple(case for case, place in _below(path, cases) if not names or _is_named(names, place, case.name))


class _Place(NamedTuple):
    """The classes around a case; not `certain` when they are only what a tool calls a class name."""

    classes: tuple[str, ...]
    certain: bool = True


def _below(path: str, cases: Iterable[TestCase]) -> list[tuple[TestCase, _Place]]:
    """Return the cases in a file or folder with their places in it.

    Leading folders of `path` are dropped until the report knows the first one left: that is where its root is.
    """
    known = list(cases)
    components = tuple(path.strip("/").split("/"))
    for start in range(len(components)):
        if any(_inside(components[start : start + 1], case) for case in known):
            places = ((case, _inside(components[start:], case)) for case in known)
            return [(case, place) for case, place in places if place is not None]
    return []


def _inside(components: tuple[str, ...], case: TestCase) -> _Place | None:
    """Return where a case is when it lies below these path components, else None."""
    dotted = tuple((case.classname or case.name).split("."))
    file = case.file or (case.classname if "/" in case.classname else None)
    if file is None:
        module = _module(components)
        return _Place(dotted[len(module) :]) if dotted[: len(module)] == module else None
    folders = tuple(file.removeprefix("./").split("/"))
    if folders[: len(components)] != components:
        return None
    if file == case.classname:
        return _Place(())
    module = _module(folders)
    return _Place(dotted[len(module) :]) if dotted[: len(module)] == module else _Place(dotted, certain=False)


def _module(components: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(".".join(components).removesuffix(".py").split("."))


def _is_named(names: tuple[str, ...], place: _Place, name: str) -> bool:
    if place.classes[: len(names)] == names:
        return True
    *classes, last = names
    if place.classes != tuple(classes) and (place.certain or classes):
        return False
    return name == last or ("[" not in last and name.partition("[")[0] == last)
