"""Translate everything Anthropic's SDK raises into the one taxonomy."""

from collections.abc import Mapping
from typing import Any

import anthropic

from pipeline.vendors._wire import (
    beyond_context,
    excerpt,
    garbage,
    kind_of,
    refused_before_generation,
    retry_after,
    transport_error,
)
from stages.model import ErrorKind, ModelError

_TYPES: dict[str, ErrorKind] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "billing_error": "billing",
    "authentication_error": "auth",
    "permission_error": "auth",
    "request_too_large": "too_large",
    "invalid_request_error": "bad_request",
    "not_found_error": "bad_request",
}


def translate(error: Exception) -> ModelError:
    """Return the error in our terms; anything unknown means that the answer could not be read."""
    match error:
        case anthropic.APIStatusError():
            return _refusal(error)
        case anthropic.APIConnectionError():
            below = transport_error(error.__cause__) if isinstance(error.__cause__, Exception) else None
            return below or _without_cause(error)
        case anthropic.CredentialsError():
            return ModelError("auth", "Anthropic's SDK found no usable key", generated=False)
        case _:
            return transport_error(error) or garbage(error)


def streamed_error(said: Any) -> ModelError:
    """Return the failure that a stream reports after it began, known by its type: its status was a 200."""
    error = said if isinstance(said, Mapping) else {}
    kind, words = str(error.get("type") or "error"), excerpt(error.get("message"))
    return ModelError(_TYPES.get(kind, "server"), f"anthropic's stream ended with {kind}: {words}", status=200)


def _without_cause(error: anthropic.APIConnectionError) -> ModelError:
    timed_out = isinstance(error, anthropic.APITimeoutError)
    return ModelError("timeout" if timed_out else "network", f"no answer ({type(error).__name__})")


def _refusal(error: anthropic.APIStatusError) -> ModelError:
    status = error.status_code
    said = excerpt(error.api_message or error.message)
    return ModelError(
        _kind(error, said),
        f"anthropic answered {status} {error.type or ''}: {said}".replace(" :", ":"),
        retry_after=retry_after(error.response.headers),
        generated=not refused_before_generation(status),
        status=status,
    )


def _kind(error: anthropic.APIStatusError, said: str) -> ErrorKind:
    status, text = error.status_code, said.lower()
    if (error.error_code or "").endswith("spend_limit_reached"):
        return "billing"
    if error.type == "overloaded_error":
        return "overloaded"
    if status == 400 and ("usage limits" in text or "credit balance" in text):
        return "billing"
    if status == 400 and beyond_context(said):
        return "too_large"
    return kind_of(status)
