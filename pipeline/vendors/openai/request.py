"""Turn a request of ours into the body of OpenAI's Responses API."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pipeline.surface import Binding
from pipeline.vendors._native import unseal
from pipeline.vendors.openai import reasons
from stages.model import ModelTurn, Request, Tool, Turn, UserTurn

VENDOR = "openai"
_LONGEST_KEY = 64
_PLACEHOLDER = "(no text)"  # an empty turn has no items, and two turns of the user's would run into one


def response(binding: Binding, request: Request) -> dict[str, Any]:
    """Return the keyword arguments of `responses.create`.

    Nothing is stored at the vendor: reasoning comes back encrypted and travels with the next request instead.
    """
    body = counted(binding, request) | {"store": False, "max_output_tokens": request.max_output_tokens}
    if reasons(binding.like):
        body["include"] = ["reasoning.encrypted_content"]
    if binding.temperature is not None:
        body["temperature"] = binding.temperature
    if binding.cache_key:
        body["prompt_cache_key"] = _short(binding.cache_key)
    return body


def counted(binding: Binding, request: Request) -> dict[str, Any]:
    """Return the part of the body that counts as input, as `responses.input_tokens.count` takes it."""
    body: dict[str, Any] = {"model": binding.model, "input": _input(binding, request.turns)}
    if request.system:
        body["instructions"] = request.system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if binding.effort:
        body["reasoning"] = {"effort": binding.effort}
    return body


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "strict": True,
        "parameters": dict(tool.parameters),
    }


def _input(binding: Binding, turns: Sequence[Turn]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for turn in turns:
        items += _user(turn) if isinstance(turn, UserTurn) else _model(binding, turn)
    return items


def _user(turn: UserTurn) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [
        {"type": "function_call_output", "call_id": result.call_id, "output": result.content} for result in turn.results
    ]
    if turn.text or not items:
        items.append({"role": "user", "content": turn.text})
    return items


def _model(binding: Binding, turn: ModelTurn) -> list[dict[str, Any]]:
    """Return the turn's items as received; one that somebody else made is rebuilt without its reasoning."""
    native = unseal(turn, VENDOR, binding.model)
    if native:
        return list(native)
    said = turn.text or ("" if turn.calls else _PLACEHOLDER)
    items: list[dict[str, Any]] = [{"role": "assistant", "content": said}] if said else []
    items += [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.raw if call.arguments is None else json.dumps(dict(call.arguments)),
        }
        for call in turn.calls
    ]
    return items


def _short(cache_key: str) -> str:
    """Return a key of the length the API takes; equal keys stay equal."""
    if len(cache_key) <= _LONGEST_KEY:
        return cache_key
    return hashlib.sha256(cache_key.encode()).hexdigest()
