"""Reads a tree by the description of its format: plain values where it fits, a problem where it does not."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pipeline.config.expand import ExpansionError, Variables, refers
from pipeline.config.format import Either, Key, Kind, Many, Named, Record, Unset
from pipeline.config.keypath import child
from pipeline.config.report import Report
from pipeline.config.scalar_reader import UnfitError, read_scalar
from pipeline.config.tree import Listing, Node, Scalar, Table
from pipeline.config.words import elsewhere, meant, nearest

TRUST_HINT = "name it with --config if you trust it"
LITERAL_KEY = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{12,}|AIza[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[A-Z0-9]{16}|gsk_[A-Za-z0-9]{20,})"
)


class Missing:
    """Stands for a value that is not there or could not be read."""


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class FormatReader:
    """Reads one file. `trusted` is False for a config that was found and not named."""

    report: Report
    variables: Variables
    file: Record
    vendors: tuple[str, ...] = ()
    trusted: bool = True

    def read(self, node: Node, kind: Kind, key: str) -> Any:
        """Return the value as plain Python, `MISSING` after a problem; the report has its positions."""
        self.report.positions.setdefault(key, node.at)
        if isinstance(node, Scalar) and node.empty:
            return self._empty(kind, key)
        match kind:
            case Unset():
                return self.read(node, kind.of, key)
            case Either():
                return self._either(node, kind, key)
            case Record() | Named():
                return self._mapping(node, kind, key)
            case Many():
                return self._many(node, kind, key)
            case _:
                return self._scalar(node, kind, key)

    def _empty(self, kind: Kind, key: str) -> Any:
        if isinstance(kind, Unset):
            return None
        self.report.refuse("SW105", key, "has no value", "give it one, or remove the key")
        return MISSING

    def _either(self, node: Node, kind: Either, key: str) -> Any:
        if isinstance(node, Scalar):
            return self.read(node, kind.scalar, key)
        return self.read(node, kind.structure, key)

    def _mapping(self, node: Node, kind: Record | Named, key: str) -> Any:
        if not isinstance(node, Table):
            return self._unfit(key, f"must be a mapping, not {_shape(node)}", "write `key: value` lines below it")
        return self._record(node, kind, key) if isinstance(kind, Record) else self._named(node, kind, key)

    def _record(self, table: Table, record: Record, key: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        guessed: set[str] = set()
        for name, entry in table.entries.items():
            here = child(key, name)
            self.report.positions[here] = entry.at
            described = record.key(name)
            if described is None:
                guessed.add(self._unknown(name, record, here, table))
            elif described.later:
                self._later(here, name)
            else:
                values[name] = self.read(entry.node, described.kind, here)
        for described in record.keys:
            if described.required and described.name not in table.entries and described.name not in guessed:
                self._required(described, child(key, described.name))
        return {name: value for name, value in values.items() if value is not MISSING}

    def _named(self, table: Table, kind: Named, key: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, entry in table.entries.items():
            here = child(key, name)
            self.report.positions[here] = entry.at
            if not kind.vendors or name in self.vendors:
                values[name] = self.read(entry.node, kind.of, here)
            else:
                self._unknown_vendor(name, here)
        return {name: value for name, value in values.items() if value is not MISSING}

    def _many(self, node: Node, kind: Many, key: str) -> Any:
        if not isinstance(node, Listing):
            if not kind.single:
                return self._unfit(key, f"must be a list, not {_shape(node)}", "write `- ...` lines below it")
            node = Listing((node,), node.at)
        if len(node.items) < kind.least:
            return self._unfit(key, "is empty", "at least one is needed", code="SW105")
        values = [self.read(item, kind.of, child(key, index)) for index, item in enumerate(node.items)]
        return MISSING if any(value is MISSING for value in values) and not values else values

    def _scalar(self, node: Node, kind: Any, key: str) -> Any:
        if not isinstance(node, Scalar):
            return self._unfit(key, f"must be a single value, not {_shape(node)}", "write it on one line")
        try:
            return read_scalar(self._expanded(node, kind), kind)
        except UnfitError as error:
            return self._unfit(key, error.message, error.hint, code=error.code)
        except ExpansionError as error:
            return self._unfit(key, error.message, error.hint, code=error.code)

    def _expanded(self, node: Scalar, kind: Any) -> Scalar:
        if LITERAL_KEY.search(node.text):
            hint = "remove it, revoke it if it was shared, and name its variable with `api_key_env`"
            raise UnfitError("a key stands in the file", hint, code="SW111")
        if not getattr(kind, "expand", True) or not refers(node.text):
            return node
        if not self.trusted and node.at.override is None:
            raise UnfitError("`${...}` in a config that was found, not named", TRUST_HINT, code="SW112")
        return Scalar(self.variables.expand(node.text), node.plain, node.at)

    def _unfit(self, key: str, message: str, hint: str, *, code: Any = "SW106") -> Missing:
        self.report.refuse(code, key, message, hint)
        return MISSING

    def _unknown(self, name: str, record: Record, here: str, table: Table) -> str:
        """Refuse an unknown key; return the key it probably means."""
        if name in record.refused:
            self.report.refuse("SW104", here, record.refused[name], "remove it")
            return ""
        guess = meant(name, record)
        other = None if guess else elsewhere(name, record, self.file)
        self.report.refuse("SW104", here, "unknown key", _advice(guess, other, record, table))
        return guess or ""

    def _later(self, here: str, name: str) -> None:
        self.report.refuse("SW109", here, f"`{name}` is not built yet", "remove the key")

    def _unknown_vendor(self, name: str, here: str) -> None:
        guess = nearest(name, self.vendors)
        if guess:
            self.report.refuse("SW201", here, f"unknown vendor `{name}`", f"did you mean `{guess}`?")
        else:
            hint = "a server of your own needs its `base_url` there"
            self.report.refuse("SW201", here, f"unknown vendor `{name}`", f"known: {', '.join(self.vendors)}; {hint}")

    def _required(self, described: Key, here: str) -> None:
        self.report.refuse("SW105", here, "the required key is missing", f"add `{described.example}`: {described.help}")


def _advice(guess: str | None, other: str | None, record: Record, table: Table) -> str:
    if guess:
        return f"did you mean `{guess}`?"
    if other:
        above = other.split(".")[0]
        missing = record.key(above) is not None and above not in table.entries
        return f"it belongs at `{other}`" + (f": `{above}:` is missing above it" if missing else "")
    return f"known here: {', '.join(key.name for key in record.keys)}"


def _shape(node: Node) -> str:
    if isinstance(node, Scalar):
        return "a single value"
    return "a list" if isinstance(node, Listing) else "a mapping"
