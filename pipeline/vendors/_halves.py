"""Halves of a character's pair in UTF-16: joined where a stream cut the pair, replaced where they stay alone.

JSON can hold half a pair, UTF-8 cannot: a reply that has one could never be handed back.
"""

import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_HALF = re.compile("[\ud800-\udfff]")


def joined(document: T) -> T:
    """Return a JSON document in which no pair is in two halves; one that is alone stays."""
    return _changed(document, lambda text: _decoded(text, "surrogatepass"))


def sendable(document: T) -> T:
    """Return a JSON document without halves: pairs are joined, what is left is the sign for an unreadable character."""
    return _changed(document, lambda text: _decoded(text, "replace"))


def _decoded(text: str, errors: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors)


def _changed(value: T, change: Callable[[str], str]) -> T:
    changed: object = value
    if isinstance(value, str):
        changed = change(value) if _HALF.search(value) else value
    elif isinstance(value, dict):
        changed = {name: _changed(each, change) for name, each in value.items()}
    elif isinstance(value, list):
        changed = [_changed(each, change) for each in value]
    return changed  # type: ignore[return-value]  # the same kind of JSON value
