"""Requests and replies as JSON that is kept part by part, and back without loss.

Turns are content-addressed on their own: a long attempt stores each turn once, not once per call.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.model import ModelTurn, Reply, Request, Tool, ToolCall, ToolResult, Turn, Usage, UserTurn

Put = Callable[[bytes], str]
Get = Callable[[str], bytes]


def encode(value: Any) -> bytes:
    """Return compact JSON in UTF-8, the same for the same value; lone surrogates survive."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def decode(content: bytes) -> Any:
    """Return what `encode` was given, with lists for tuples."""
    return json.loads(content.decode("utf-8", "surrogatepass"))


def request_size(request: Request) -> int:
    """Return the bytes of a request's system text, turns and tools."""
    return len(encode(request.system)) + len(_tools(request.tools)) + turns_size(request.turns)


def turns_size(turns: Sequence[Turn]) -> int:
    """Return the bytes of some turns."""
    return sum(len(encode(_turn(turn))) for turn in turns)


def dump_request(request: Request, put: Put) -> str:
    """Keep a request and return its digest."""
    parts = {
        "system": put(encode(request.system)),
        "tools": put(_tools(request.tools)),
        "turns": [put(encode(_turn(turn))) for turn in request.turns],
        "max_output_tokens": request.max_output_tokens,
    }
    return put(encode(parts))


def load_request(digest: str, get: Get) -> Request:
    """Return a kept request."""
    parts = decode(get(digest))
    return Request(
        system=decode(get(parts["system"])),
        turns=tuple(_load_turn(decode(get(turn))) for turn in parts["turns"]),
        tools=tuple(Tool(**tool) for tool in decode(get(parts["tools"]))),
        max_output_tokens=parts["max_output_tokens"],
    )


def dump_reply(reply: Reply, put: Put) -> str:
    """Keep a reply and return its digest."""
    kept = {
        "turn": put(encode(_turn(reply.turn))),
        "stop": reply.stop,
        "usage": usage_json(reply.usage),
        "model": reply.model,
        "id": reply.id,
        "metadata": dict(reply.metadata),
    }
    return put(encode(kept))


def load_reply(digest: str, get: Get) -> Reply:
    """Return a kept reply."""
    kept = decode(get(digest))
    turn = _load_turn(decode(get(kept["turn"])))
    assert isinstance(turn, ModelTurn), "only a model replies"
    return Reply(turn, kept["stop"], Usage(**kept["usage"]), kept["model"], kept["id"], kept["metadata"])


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return a usage record as JSON."""
    return {
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "source": usage.source,
    }


def _tools(tools: Sequence[Tool]) -> bytes:
    return encode(
        [{"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)} for tool in tools]
    )


def _turn(turn: Turn) -> dict[str, Any]:
    match turn:
        case UserTurn():
            return {"role": "user", "text": turn.text, "results": [_result(result) for result in turn.results]}
        case ModelTurn():
            calls = [_call(call) for call in turn.calls]
            return {"role": "model", "text": turn.text, "calls": calls, "native": turn.native}


def _result(result: ToolResult) -> dict[str, Any]:
    return {
        "call_id": result.call_id,
        "name": result.name,
        "content": result.content,
        "is_error": result.is_error,
    }


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = None if call.arguments is None else dict(call.arguments)
    return {"id": call.id, "name": call.name, "arguments": arguments, "raw": call.raw}


def _load_turn(turn: Mapping[str, Any]) -> Turn:
    if turn["role"] == "user":
        return UserTurn(turn["text"], tuple(ToolResult(**result) for result in turn["results"]))
    return ModelTurn(turn["text"], tuple(ToolCall(**call) for call in turn["calls"]), turn["native"])
