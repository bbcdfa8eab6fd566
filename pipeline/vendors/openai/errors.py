"""Translate everything OpenAI's SDK raises into the one taxonomy."""

import openai

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

_BILLING = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
# What is asked is against the vendor's rules: OpenAI's word, and those of Azure's filter in front of it.
_REFUSED = frozenset({"invalid_prompt", "content_policy_violation", "content_filter"})
_TOO_LARGE = frozenset({"context_length_exceeded", "string_above_max_length"})


def translate(error: Exception, who: str = "openai") -> ModelError:
    """Return the error in our terms; anything unknown means that the answer could not be read."""
    match error:
        case openai.APIStatusError():
            return _refusal(error, who)
        case openai.APIConnectionError():
            below = transport_error(error.__cause__) if isinstance(error.__cause__, Exception) else None
            return below or _without_cause(error)
        case _:
            return transport_error(error) or garbage(error)


def _without_cause(error: openai.APIConnectionError) -> ModelError:
    timed_out = isinstance(error, openai.APITimeoutError)
    return ModelError("timeout" if timed_out else "network", f"no answer ({type(error).__name__})")


def _refusal(error: openai.APIStatusError, who: str) -> ModelError:
    status = error.status_code
    said = excerpt(error.message)
    code = f" {error.code}" if error.code else ""
    return ModelError(
        _kind(error, said),
        f"{who} answered {status}{code}: {said}",
        retry_after=retry_after(error.response.headers),
        generated=not refused_before_generation(status),
        status=status,
        parameter=error.param if isinstance(error.param, str) else None,
        refusal=status == 400 and error.code in _REFUSED,
    )


def _kind(error: openai.APIStatusError, said: str) -> ErrorKind:
    code = error.code or ""
    if code in _BILLING:
        return "billing"
    # A single request above the limit per minute is answered with a 429 that no waiting can help.
    if code in _TOO_LARGE or (error.status_code == 429 and "request too large" in said.lower()):
        return "too_large"
    kind = kind_of(error.status_code)
    return "too_large" if kind == "bad_request" and beyond_context(said) else kind
