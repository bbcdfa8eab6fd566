"""Translate what a compatible server answers: OpenAI's taxonomy, and a hint where the address may be wrong."""

from pipeline.vendors.openai.errors import translate as by_code
from stages.model import ModelError


def translate(error: Exception) -> ModelError:
    """Return the error in our terms; anything unknown means that the answer could not be read."""
    found = by_code(error, "the server")
    if found.kind == "bad_request" and found.status in {404, 405}:
        found.message += " (is the model there, and does base_url end where the protocol begins, as in /v1?)"
    return found
