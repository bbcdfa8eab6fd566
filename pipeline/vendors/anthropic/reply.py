"""Read Anthropic's answer: nothing is believed that does not have the shape of a message."""

from collections.abc import Mapping
from typing import Any

from pipeline.vendors._counts import count
from pipeline.vendors._halves import sendable
from pipeline.vendors._native import seal
from pipeline.vendors._wire import excerpt
from pipeline.vendors.anthropic.request import VENDOR
from stages.model import ModelError, ModelTurn, Reply, StopReason, ToolCall, Usage

_STOPS: dict[str, StopReason] = {
    "end_turn": "done",
    "stop_sequence": "done",
    "tool_use": "tools",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "refusal": "refused",
}


def read(body: Mapping[str, Any], model: str, request_id: str) -> Reply:
    """Return the reply in our terms; `model` is the one that was asked for.

    :raises ModelError: kind protocol where it is no whole message, or stopped for a reason we know nothing of.
    """
    content: Any = body.get("content")
    stop = body.get("stop_reason")
    if not _is_content(content) or not isinstance(body.get("usage"), Mapping):
        raise ModelError("protocol", f"the answer is not a message: {excerpt(dict(body))}")
    if stop not in _STOPS:
        # `pause_turn` comes only with server tools, which we never offer; no reason at all is a broken-off reply.
        raise ModelError("protocol", f"the reply stopped for an unknown reason: {stop!r}")
    text = "".join(block["text"] for block in content if block["type"] == "text")
    calls = tuple(_call(block) for block in content if block["type"] == "tool_use")
    details = body.get("stop_details")
    return Reply(
        ModelTurn(sendable(text), calls, seal(VENDOR, model, content)),
        _STOPS[stop],
        usage(body["usage"]),
        model=str(body.get("model", "")),
        id=request_id or str(body.get("id", "")),
        metadata=details if isinstance(details, Mapping) else {},
    )


def usage(said: Mapping[str, Any]) -> Usage:
    """Return Anthropic's usage in our terms: its input leaves out what the cache read and wrote."""
    read_tokens = count(said, "cache_read_input_tokens")
    written = count(said, "cache_creation_input_tokens")
    thought = count(said.get("output_tokens_details"), "thinking_tokens")
    total = count(said, "input_tokens") + read_tokens + written
    return Usage(total, read_tokens, written, count(said, "output_tokens"), thought)


def _is_content(content: Any) -> bool:
    return isinstance(content, list) and all(_is_block(block) for block in content)


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    match block.get("type"):
        case "text":
            return isinstance(block.get("text"), str)
        case "tool_use":
            return isinstance(block.get("id"), str) and isinstance(block.get("name"), str)
        case kind:
            return isinstance(kind, str)


def _call(block: Mapping[str, Any]) -> ToolCall:
    arguments = block.get("input")
    if isinstance(arguments, dict):
        return ToolCall(block["id"], block["name"], arguments)
    return ToolCall(block["id"], block["name"], None, str(arguments))
