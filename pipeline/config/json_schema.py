"""Turns the description of the file's format into a JSON Schema, for editors."""

import re
from collections.abc import Iterator
from typing import Any

from pipeline.config.format import (
    Choice,
    Duration,
    Either,
    Integer,
    Key,
    Kind,
    Many,
    Named,
    Number,
    Record,
    Size,
    Text,
    Unset,
)

DRAFT = "http://json-schema.org/draft-07/schema#"
REFERENCE = {"type": "string", "pattern": r"\$\{"}  # `${ENV}`, whose value only the environment knows
# Editors read YAML 1.2, to which 1_000 is a text.
WITH_UNDERSCORES = {"type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)?$"}


def json_schema(file: Record, title: str) -> dict[str, Any]:
    """Return the schema of a whole file."""
    definitions = {record.name: _record(record) for record in _named_records(file)}
    return {"$schema": DRAFT, "title": title, **_record(file), "definitions": definitions}


def _named_records(kind: Kind) -> Iterator[Record]:
    match kind:
        case Record():
            if kind.name:
                yield kind
            for key in kind.keys:
                yield from _named_records(key.kind)
        case Many() | Named() | Unset():
            yield from _named_records(kind.of)
        case Either():
            yield from _named_records(kind.structure)
        case _:
            return


def _schema(kind: Kind) -> dict[str, Any]:
    match kind:
        case Record():
            return {"$ref": f"#/definitions/{kind.name}"} if kind.name else _record(kind)
        case Named():
            return {"type": "object", "additionalProperties": _schema(kind.of), "description": f"by {kind.names}"}
        case Many():
            return _many(kind)
        case Either():
            return {"anyOf": [_schema(kind.scalar), _schema(kind.structure)]}
        case Unset():
            return {"anyOf": [_schema(kind.of), {"type": "null"}]}
        case _:
            return _scalar(kind)


def _scalar(kind: Text | Choice | Integer | Number | Duration | Size) -> dict[str, Any]:
    match kind:
        case Text():
            pattern = {"pattern": f"^(?:{kind.pattern})$"} if kind.pattern else {}
            return {"type": "string", "minLength": 1, **pattern}
        case Choice():
            return {"anyOf": [{"enum": [*kind.words, *kind.later]}, REFERENCE]}
        case Integer():
            number = {"type": "integer", "minimum": kind.minimum, "maximum": kind.maximum}
            return {"anyOf": [number, WITH_UNDERSCORES, REFERENCE]}
        case Number():
            limits = {"type": "number", "minimum": float(kind.minimum), "maximum": float(kind.maximum)}
            return {"anyOf": [limits, WITH_UNDERSCORES, REFERENCE]}
        case Duration():
            text = {"type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)?\s*[smh]?$"}
            return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, text, REFERENCE], "examples": ["300s", "20m"]}
        case Size():
            text = {"type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)?\s*[kmgtKMGT]?([iI]?[bB])?$"}
            return {"anyOf": [{"type": "integer", "minimum": 1}, text, REFERENCE], "examples": ["4g", "512m"]}


def _many(kind: Many) -> dict[str, Any]:
    listing = {"type": "array", "items": _schema(kind.of), "minItems": kind.least}
    return {"anyOf": [listing, _schema(kind.of)]} if kind.single else listing


def _record(record: Record) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key.name: _property(key) for key in record.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in record.keys if key.required]
    return {**schema, "required": required} if required else schema


def _property(key: Key) -> dict[str, Any]:
    remark = ". Not built yet" if key.later else ""
    text = re.sub(r"`([^`]*)`", r"\1", key.help)
    described = {**_schema(key.kind), "description": text[:1].upper() + text[1:] + remark}
    return {**described, "default": key.default} if key.default is not None else described
