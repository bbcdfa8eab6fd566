"""Turn a request of ours into the body of a chat completion, in a server's dialect."""

import hashlib
import json
from typing import Any

from pipeline.surface import Binding
from pipeline.vendors._native import unseal
from pipeline.vendors.compatible import text_tools
from pipeline.vendors.compatible.dialect import Dialect
from stages.model import ModelTurn, Request, Tool, Turn, UserTurn

_PLACEHOLDER = "(no text)"  # an empty turn is refused by some servers, and left out it would join two of the user's
_LONGEST_KEY = 64
REASONING = ("reasoning_content", "reasoning", "reasoning_details")


def maker(base_url: str) -> str:
    """Return the mark of turns that this server made; its reasoning is worth nothing to another."""
    return f"chat {base_url}"


def completion(binding: Binding, base_url: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    """Return the keyword arguments of `chat.completions.create`; names the SDK does not know go into `extra_body`."""
    in_text = dialect.tools == "text"
    system = request.system + (text_tools.offered(request.tools) if in_text else "")
    body: dict[str, Any] = {"model": binding.model, "messages": _messages(binding, base_url, request, dialect, system)}
    body |= dict.fromkeys(dialect.caps, request.max_output_tokens)
    if request.tools and not in_text:
        body["tools"] = [_tool(tool, strict=dialect.tools == "strict") for tool in request.tools]
    if binding.effort:
        body["reasoning_effort"] = binding.effort
    if binding.temperature is not None:
        body["temperature"] = binding.temperature
    if dialect.cache_key and binding.cache_key:
        body["prompt_cache_key"] = _short(binding.cache_key)
    return body | _streamed(dialect)


def _streamed(dialect: Dialect) -> dict[str, Any]:
    match dialect.stream:
        case "usage":
            return {"stream": True, "stream_options": {"include_usage": True}}
        case "plain" | "unreported":
            return {"stream": True}
        case "whole":
            return {}


def _messages(binding: Binding, base_url: str, request: Request, dialect: Dialect, system: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if system and dialect.system != "user":
        messages.append({"role": dialect.system, "content": system})
    for turn in request.turns:
        messages += _turn(binding, base_url, turn, dialect)
    if system and dialect.system == "user":
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = f"{system}\n\n{first['content']}"
    return messages


def _turn(binding: Binding, base_url: str, turn: Turn, dialect: Dialect) -> list[dict[str, Any]]:
    in_text = dialect.tools == "text"
    if isinstance(turn, UserTurn):
        return [_user_text(turn)] if in_text else _user(turn)
    native = unseal(turn, maker(base_url), binding.model) or {}
    if in_text:
        said = native.get("text") or text_tools.written(turn.text, turn.calls)
        return [{"role": "assistant", "content": said or _PLACEHOLDER}]
    return [_model(turn, native.get("message"), dialect)]


def _user(turn: UserTurn) -> list[dict[str, Any]]:
    messages = [{"role": "tool", "tool_call_id": result.call_id, "content": result.content} for result in turn.results]
    if turn.text or not messages:
        messages.append({"role": "user", "content": turn.text})
    return messages


def _user_text(turn: UserTurn) -> dict[str, Any]:
    parts = (text_tools.answered(turn.results), turn.text)
    return {"role": "user", "content": "\n\n".join(part for part in parts if part)}


def _model(turn: ModelTurn, native: dict[str, Any] | None, dialect: Dialect) -> dict[str, Any]:
    """Return the turn as received; one that somebody else made is rebuilt without its reasoning."""
    if native is not None:
        left_out = () if dialect.reasoning else REASONING
        return {name: value for name, value in native.items() if name not in left_out}
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or (None if turn.calls else _PLACEHOLDER)}
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.raw if call.arguments is None else json.dumps(dict(call.arguments)),
                },
            }
            for call in turn.calls
        ]
    return message


def _tool(tool: Tool, *, strict: bool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function | ({"strict": True} if strict else {})}


def _short(cache_key: str) -> str:
    """Return a key of the length the API takes; equal keys stay equal."""
    return cache_key if len(cache_key) <= _LONGEST_KEY else hashlib.sha256(cache_key.encode()).hexdigest()
