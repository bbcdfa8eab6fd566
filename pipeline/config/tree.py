"""A configuration as it was written: values with their positions, nothing interpreted yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.problem import Position


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value; `plain` is False when it was quoted or written as a block."""

    text: str
    plain: bool
    at: Position
    size: int = 1

    @property
    def empty(self) -> bool:
        """Whether nothing, `~` or `null` was written."""
        return self.plain and self.text in {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of values."""

    items: Sequence["Node"]
    at: Position
    size: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping with its value."""

    at: Position
    node: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in the order written."""

    entries: Mapping[str, Entry]
    at: Position
    size: int = 1


Node = Scalar | Listing | Table
