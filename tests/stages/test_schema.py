from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from stages.artifacts import Clarification, Diagnosis, Finish, Manifest, Review, ScopeRequest
from stages.command import Run
from stages.editing import DeleteFile, EditFile, WriteFile
from stages.reading import ListFiles, ReadFile
from stages.schema import closed_schema
from stages.searching import Search

MODELS = [
    *(Clarification, Diagnosis, Finish, Manifest, Review, ScopeRequest),
    *(Run, DeleteFile, EditFile, WriteFile, ListFiles, ReadFile, Search),
]
KEYWORDS = {"type", "description", "enum", "anyOf", "items", "properties", "required", "additionalProperties"}


def _schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from _schemas(inner)
    if "items" in schema:
        yield from _schemas(schema["items"])


@pytest.mark.parametrize("model", MODELS)
def test_every_object_is_closed_and_requires_all_its_properties(model: type[BaseModel]) -> None:
    schema = closed_schema(model)
    assert schema["type"] == "object"
    for inner in _schemas(schema):
        assert inner.keys() <= KEYWORDS
        if inner.get("type") == "object":
            assert inner["additionalProperties"] is False
            assert inner["required"] == list(inner["properties"])


def test_what_is_optional_is_nullable() -> None:
    start = closed_schema(ReadFile)["properties"]["start_line"]
    assert start["anyOf"] == [{"type": "integer"}, {"type": "null"}]


def test_closed_sets_and_nested_objects_are_written_out() -> None:
    files = closed_schema(Manifest)["properties"]["work_items"]["items"]["properties"]["files"]
    assert files["items"]["properties"]["operation"]["enum"] == ["create", "modify", "delete"]
