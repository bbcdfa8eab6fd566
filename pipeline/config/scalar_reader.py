"""Reads a single value by its kind."""

import re
from decimal import Decimal
from typing import Any

from pipeline.config import scalars
from pipeline.config.format import Choice, Duration, Integer, Number, Size, Text
from pipeline.config.tree import Scalar
from pipeline.config.words import nearest
from pipeline.problem import Code

ScalarKind = Text | Choice | Integer | Number | Duration | Size
LONGEST = 10**9  # seconds; what no calendar holds is a slip


class UnfitError(Exception):
    """The value does not fit; `hint` is what to type."""

    def __init__(self, message: str, hint: str, *, code: Code = "SW106") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code: Code = code


def read_scalar(node: Scalar, kind: ScalarKind) -> Any:
    """Return the value.

    :raises UnfitError: it has the wrong type or unit, or is out of range.
    """
    loose = isinstance(kind, Text) and (kind.loose or not kind.expand)
    trap = scalars.pitfall(node.text) if node.plain and not loose else None
    if trap is not None:
        raise UnfitError(*trap, code="SW108")
    match kind:
        case Text():
            return _text(node, kind)
        case Choice():
            return _choice(node.text, kind)
        case Integer():
            return _integer(node.text, kind)
        case Number():
            return _number(node.text, kind)
        case Duration():
            return _duration(node.text)
        case Size():
            return _size(node.text)


def _text(node: Scalar, kind: Text) -> str:
    if node.plain and not kind.loose and (scalars.looks_like_number(node.text) or node.text in {"true", "false"}):
        raise UnfitError(f"`{node.text}` is not text", f'quote it: "{node.text}"')
    if not node.text.strip():
        raise UnfitError("is empty", "give it a value, or remove the key", code="SW105")
    if kind.pattern is not None and not re.fullmatch(kind.pattern, node.text):
        raise UnfitError(f"must be {kind.expected}", kind.hint)
    return node.text


def _choice(text: str, kind: Choice) -> str:
    if kind.secret and text not in kind.words:
        hint = "remove it, put it into an environment variable and name that with `api_key_env`"
        raise UnfitError("a key must not stand in the file", hint, code="SW111")
    if text in kind.later:
        raise UnfitError(f"`{text}` is not built yet", f"use {_listed(kind.words)}", code="SW109")
    if text not in kind.words:
        guess = nearest(text, kind.words)
        hint = f"did you mean `{guess}`?" if guess else f"write {_listed(kind.words)}"
        raise UnfitError(f"`{text}` is not one of {', '.join(kind.words)}", hint)
    return text


def _integer(text: str, kind: Integer) -> int:
    value = scalars.integer(text)
    if value is None:
        raise UnfitError(f"`{text}` is not a whole number", f"write a number of {kind.minimum} or more, such as 1_000")
    if not kind.minimum <= value <= kind.maximum:
        raise UnfitError(f"{text} is out of range", _range(kind), code="SW107")
    return value


def _number(text: str, kind: Number) -> Decimal | float:
    value = scalars.number(text)
    if value is None:
        raise UnfitError(f"`{text}` is not a number", "write a number such as 2.5")
    if not value.is_finite() or not kind.minimum <= value <= kind.maximum:
        raise UnfitError(f"{text} is out of range", _range(kind), code="SW107")
    return value if kind.exact else float(value)


def _duration(text: str) -> float:
    seconds = scalars.duration(text)
    hint = scalars.duration_hint(text)
    if seconds is None:
        raise UnfitError(f"`{text}` is not a duration", hint)
    if seconds != seconds:  # noqa: PLR0124 - only not-a-number differs from itself
        raise UnfitError(f"`{text}` is not a number", hint)
    if seconds in {float("inf"), float("-inf")}:
        raise UnfitError(f"`{text}` is infinite, which is no time limit", hint, code="SW107")
    if not 0 < seconds <= LONGEST:
        what = "zero" if seconds == 0 else "negative" if seconds < 0 else "longer than any run"
        raise UnfitError(f"`{text}` is {what}, which is no time limit", "write a duration such as 300s", code="SW107")
    return seconds


def _size(text: str) -> int:
    value = scalars.size(text)
    if value is None:
        raise UnfitError(f"`{text}` is not a size", "write a size such as 512m or 4g")
    if not 0 < value < 1 << 50:
        raise UnfitError(f"`{text}` is out of range", "write a size such as 512m or 4g", code="SW107")
    return value


def _range(kind: Integer | Number) -> str:
    if kind.minimum == kind.maximum:
        return f"write {kind.minimum}"
    return f"write a number from {kind.minimum:,} to {kind.maximum:,}".replace(",", "_")


def _listed(words: tuple[str, ...]) -> str:
    *first, last = (f"`{word}`" for word in words)
    return f"{', '.join(first)} or {last}" if first else last
