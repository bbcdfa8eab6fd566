"""Translate what a compatible server answers: OpenAI's taxonomy, by words where the server gives no code."""

import re

from pipeline.vendors.openai.errors import translate as by_code
from stages.model import ModelError

_TOO_LARGE = re.compile(
    r"context (length|window|size)|maximum (prompt|input) length|(prompt|input) is too long|too many (input )?tokens",
    re.IGNORECASE,
)


def is_too_large(words: str) -> bool:
    """Say whether a server's words mean that the request does not fit into the model's window."""
    return _TOO_LARGE.search(words) is not None


def translate(error: Exception) -> ModelError:
    """Return the error in our terms; anything unknown means that the answer could not be read."""
    found = by_code(error, "the server")
    if found.kind != "bad_request":
        return found
    if is_too_large(found.message):
        found.kind = "too_large"
    elif found.status in {404, 405}:
        found.message += " (is the model there, and does base_url end where the protocol begins, as in /v1?)"
    return found
