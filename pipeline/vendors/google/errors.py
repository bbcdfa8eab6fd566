"""Translate everything Google's SDK raises into the one taxonomy."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.vendors._wire import excerpt, garbage, kind_of, refused_before_generation, retry_after, transport_error
from pipeline.vendors.google.sdk import errors
from stages.model import ErrorKind, ModelError

_DELAY = re.compile(r"^(\d+(?:\.\d+)?)s$")
_TOO_LARGE = re.compile(r"token count.*exceeds|exceeds the maximum number of tokens", re.IGNORECASE | re.DOTALL)


def translate(error: Exception) -> ModelError:
    """Return the error in our terms; anything unknown means that the answer could not be read."""
    if isinstance(error, errors.APIError):
        return _refusal(error)
    return transport_error(error) or garbage(error)


def _refusal(error: errors.APIError) -> ModelError:
    status = error.code if isinstance(error.code, int) else 0
    headers = getattr(error.response, "headers", None) or {}
    details = _details(error.details)
    said = excerpt(error.message)
    return ModelError(
        _kind(status, said, details),
        f"google answered {status} {error.status or ''}: {said}".replace(" :", ":"),
        retry_after=_longest(retry_after(headers), _retry_delay(details)),
        generated=not refused_before_generation(status),
        status=status,
    )


def _kind(status: int, said: str, details: list[Mapping[str, Any]]) -> ErrorKind:
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        return "auth"
    if status == 429 and any("PerDay" in quota for quota in _quotas(details)):
        return "billing"  # a day's quota is used up: no waiting inside a run helps
    if status == 400 and _TOO_LARGE.search(said):
        return "too_large"
    return kind_of(status)


def _details(body: Any) -> list[Mapping[str, Any]]:
    error = body.get("error", body) if isinstance(body, Mapping) else {}
    details = error.get("details", []) if isinstance(error, Mapping) else []
    return [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []


def _quotas(details: list[Mapping[str, Any]]) -> list[str]:
    lists = [each for detail in details if isinstance(each := detail.get("violations"), list)]
    return [str(each.get("quotaId", "")) for violations in lists for each in violations if isinstance(each, Mapping)]


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    for detail in details:
        found = _DELAY.match(str(detail.get("retryDelay", "")))
        if found and str(detail.get("@type", "")).endswith("RetryInfo"):
            return float(found[1])
    return None


def _longest(first: float | None, second: float | None) -> float | None:
    named = [seconds for seconds in (first, second) if seconds is not None]
    return max(named, default=None)
