"""The vocabulary in which a file's format is described, for its reader and for its JSON Schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A text. `expand` says whether `${ENV}` is replaced, `loose` whether a number is taken as written."""

    expand: bool = True
    loose: bool = False
    pattern: str | None = None
    expected: str = "text"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; `later` are words whose feature is not built yet. A wrong `secret` is never shown."""

    words: tuple[str, ...]
    later: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""

    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `exact` ones are read as decimals (money), others as floats."""

    minimum: Decimal
    maximum: Decimal
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Duration:
    """A time limit, read as seconds: more than zero, finite."""


@dataclass(frozen=True, slots=True)
class Size:
    """A size, read as bytes: more than zero."""


@dataclass(frozen=True, slots=True)
class Many:
    """A list; with `single`, one item may stand for a list of one."""

    of: "Kind"
    single: bool = False
    least: int = 0


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping whose keys are the user's names; with `vendors`, only names of known vendors fit."""

    of: "Kind"
    names: str
    vendors: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys. `refused` are keys with a reason of their own not to be there.

    A record that is used in several places has a `name`, by which the JSON Schema refers to it.
    """

    keys: tuple["Key", ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def key(self, name: str) -> "Key | None":
        """Return the description of a key."""
        return next((key for key in self.keys if key.name == name), None)


@dataclass(frozen=True, slots=True)
class Either:
    """A single word or text, or something with structure."""

    scalar: "Choice | Text"
    structure: "Record | Many"


@dataclass(frozen=True, slots=True)
class Unset:
    """A value that `null` takes back to its default."""

    of: "Kind"


Kind = Text | Choice | Integer | Number | Duration | Size | Many | Named | Record | Either | Unset


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a record. `example` is what to type; `later` marks a feature that is not built yet."""

    name: str
    kind: Kind
    help: str
    example: str = ""
    required: bool = False
    default: Any = None
    later: bool = False
