"""What the listeners of all programs do alike: read a line of JSON, make an error of an HTTP status."""

import json
from typing import Any

from pipeline.vendors._wire import kind_of, refused_before_generation
from stages.model import ErrorKind, ModelError


def object_of(line: str) -> dict[str, Any]:
    """Return the JSON object that a line is; empty for anything else, which programs print beside their events."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def answered_with(
    status: int, message: str, *, kind: ErrorKind | None = None, retry_after: float | None = None
) -> ModelError:
    """Return the error for an answer the program got from its vendor; `kind` where its words are more precise."""
    generated = not refused_before_generation(status)
    return ModelError(kind or kind_of(status), message, retry_after=retry_after, generated=generated, status=status)
