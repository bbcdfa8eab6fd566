"""Judge a tool's schema as the vendors' strict modes do: closed objects whose properties are all required."""

from collections.abc import Iterator
from typing import Any

UNSUPPORTED = frozenset({"minimum", "maximum", "minLength", "maxLength", "pattern", "maxItems", "multipleOf"})


def complaint(schema: Any, *, forbidden: frozenset[str] = frozenset()) -> str | None:
    """Return what a strict mode objects to, None when it takes the schema."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "schema must have type 'object'"
    for part in _objects(schema):
        if part.get("type") == "object" or "properties" in part:
            if part.get("additionalProperties") is not False:
                return "'additionalProperties' is required to be supplied and to be false"
            missing = set(part.get("properties", {})) - set(part.get("required", ()))
            if missing:
                return f"'required' must include every key in properties. Missing {sorted(missing)}"
        used = forbidden & set(part)
        if used:
            return f"property {sorted(used)} is not supported"
    return None


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema inside a schema, itself first."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword in ("properties", "$defs", "definitions"):
        for inner in schema.get(keyword, {}).values():
            yield from _objects(inner)
    for keyword in ("anyOf", "allOf", "oneOf"):
        for inner in schema.get(keyword, []):
            yield from _objects(inner)
    yield from _objects(schema.get("items"))
