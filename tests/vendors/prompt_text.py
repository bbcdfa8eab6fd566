"""A request's prompt as its vendor reads it from front to back, apart from what is no part of it."""

import json
from typing import Any

from tests.loopback import LoggedRequest

_ORDER = {
    "anthropic": ("tools", "system", "messages"),
    "openai": ("tools", "instructions", "input"),
    "google": ("tools", "systemInstruction", "contents"),
    "compatible": ("tools", "messages"),
}
_MARKER, _LIMITS = "cache_control", ("max_tokens", "max_output_tokens", "max_completion_tokens", "maxOutputTokens")


def prompt_text(vendor: str, request: LoggedRequest) -> str:
    """Return tools, system text and turns as JSON in the order of the wire; a longer prompt goes on where this ends."""
    *fixed, turns = _ORDER[vendor]
    body = unmarked(request.json)
    parts = [body.get(name) for name in fixed] + body[turns]
    return json.dumps(parts).removesuffix("]")


def settings_text(vendor: str, request: LoggedRequest) -> str:
    """Return everything else that the vendor is sent, without the output limit."""
    rest = {name: value for name, value in unmarked(request.json).items() if name not in _ORDER[vendor]}
    return json.dumps({"path": request.path, **_without(rest, *_LIMITS)})


def unmarked(body: Any) -> Any:
    """Return a body without its cache markers, which move on with every call."""
    return _without(body, _MARKER)


def _without(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner, *names) for name, inner in value.items() if name not in names}
    return [_without(each, *names) for each in value] if isinstance(value, list) else value
