"""Lists the defaults in force: what a file leaves out and its format fills in."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.format import Either, Record
from pipeline.config.keypath import child

TOP = ("limits", "stages", "sandbox")


def defaults_in_force(document: Mapping[str, Any], file: Record) -> tuple[str, ...]:
    """Return `path = value` for each default nobody overrode."""
    return tuple(line for name in TOP for line in _lines(document.get(name, {}), _record(file, name), name))


def _record(record: Record, name: str) -> Record | None:
    key = record.key(name)
    kind = key.kind if key else None
    kind = kind.structure if isinstance(kind, Either) else kind
    return kind if isinstance(kind, Record) else None


def _lines(values: Any, record: Record | None, path: str) -> Iterator[str]:
    if record is None or not isinstance(values, dict):
        return
    for key in record.keys:
        here = child(path, key.name)
        if key.name in values:
            yield from _lines(values[key.name], _record(record, key.name), here)
        elif key.default is not None:
            yield f"{here} = {key.default}"
