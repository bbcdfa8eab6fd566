"""Turn a request of ours into the body of Anthropic's Messages API."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.surface import Binding
from pipeline.vendors._native import unseal
from pipeline.vendors.anthropic import thinks
from stages.model import ModelTurn, Request, Tool, Turn, UserTurn

VENDOR = "anthropic"
_CACHED = {"type": "ephemeral"}
_PLACEHOLDER = "(no text)"  # the API refuses empty turns
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_UNSUPPORTED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern"}
    | {"minItems", "maxItems", "uniqueItems", "default", "title", "examples"}
)


def message(binding: Binding, request: Request) -> dict[str, Any]:
    """Return the keyword arguments of `messages.create`."""
    body = counted(binding, request)
    return body | {"max_tokens": request.max_output_tokens, "messages": _marked(body["messages"])}


def counted(binding: Binding, request: Request) -> dict[str, Any]:
    """Return the part of the body that counts as input, as `messages.count_tokens` takes it."""
    body: dict[str, Any] = {"model": binding.model, "messages": _messages(binding, request.turns)}
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": _CACHED}]
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    return body | _reasoning(binding)


def _marked(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with cache markers at the end of the user's last two: one writes, the other is sure to read.

    The vendor looks back only some twenty blocks from a marker for what it has cached, and one turn with its results
    may have more. With the system text's there are three markers; four are allowed.
    """
    last = len(messages) - 1
    return [_marked_message(each) if at in {last, last - 2} else each for at, each in enumerate(messages)]


def _marked_message(message: dict[str, Any]) -> dict[str, Any]:
    *before, block = message["content"]
    return message | {"content": [*before, block | {"cache_control": _CACHED}]}


def _reasoning(binding: Binding) -> dict[str, Any]:
    if binding.effort == "none":
        return {"thinking": {"type": "disabled"}}
    body: dict[str, Any] = {"thinking": {"type": "adaptive"}} if thinks(binding.like) else {}
    return body | ({"output_config": {"effort": binding.effort}} if binding.effort else {})


def _tool(tool: Tool) -> dict[str, Any]:
    schema = strict(tool.parameters)
    return {"name": tool.name, "description": tool.description, "strict": True, "input_schema": schema}


def strict(schema: Any) -> Any:
    """Return a schema without the keywords that strict mode refuses; what they say is validated by the stage."""
    if isinstance(schema, Mapping):
        kept = {key: value for key, value in schema.items() if key not in _UNSUPPORTED}
        inner = kept.get("properties")
        cleaned = {key: strict(value) for key, value in kept.items() if key != "properties"}
        # The names of properties are data: one may well be called `title`.
        properties = {name: strict(each) for name, each in inner.items()} if isinstance(inner, Mapping) else None
        return cleaned if properties is None else cleaned | {"properties": properties}
    return [strict(each) for each in schema] if isinstance(schema, list | tuple) else schema


def _messages(binding: Binding, turns: Sequence[Turn]) -> list[dict[str, Any]]:
    return [_user(turn) if isinstance(turn, UserTurn) else _assistant(binding, turn) for turn in turns]


def _user(turn: UserTurn) -> dict[str, Any]:
    content: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": _identity(result.call_id),
            "content": result.content,
            "is_error": result.is_error,
        }
        for result in turn.results
    ]
    if turn.text.strip() or not content:
        content.append(_text(turn.text))
    return {"role": "user", "content": content}


def _assistant(binding: Binding, turn: ModelTurn) -> dict[str, Any]:
    """Return the turn as received, reasoning and all; one that somebody else made is rebuilt without."""
    native = unseal(turn, VENDOR, binding.model)
    if native is not None:
        # The API sends empty text blocks now and then, and refuses to take them back.
        content = [block for block in native if block.get("type") != "text" or block["text"].strip()]
        return {"role": "assistant", "content": content or [_text("")]}
    content = [_text(turn.text)] if turn.text.strip() or not turn.calls else []
    content += [
        {
            "type": "tool_use",
            "id": _identity(call.id),
            "name": call.name,
            "input": {"unreadable": call.raw} if call.arguments is None else dict(call.arguments),
        }
        for call in turn.calls
    ]
    return {"role": "assistant", "content": content}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text if text.strip() else _PLACEHOLDER}


def _identity(call_id: str) -> str:
    """Return a call's id in the letters this API allows; its own ids stay as they are."""
    return _FOREIGN.sub("_", call_id)
