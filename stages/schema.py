"""Turn an arguments model into a JSON Schema that every vendor's strict mode takes.

Closed objects, every property required, no references, and only keywords all vendors know. What the schema
cannot say (lengths, patterns) the model itself still checks.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_KEPT = ("type", "description", "enum")


def closed_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the closed schema of a pydantic model, its references written out."""
    schema = model.model_json_schema()
    closed = _closed(schema, schema.get("$defs", {}))
    closed.pop("description", None)
    return closed


def _closed(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _closed(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    closed = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        closed["enum"] = [schema["const"]]
    if "anyOf" in schema:
        closed["anyOf"] = [_closed(option, definitions) for option in schema["anyOf"]]
    if "items" in schema:
        closed["items"] = _closed(schema["items"], definitions)
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        closed["properties"] = {name: _closed(value, definitions) for name, value in properties.items()}
        closed["required"] = list(properties)
        closed["additionalProperties"] = False
    return closed
