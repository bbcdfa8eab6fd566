"""Read a chat completion: nothing is believed that does not have the shape of one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.vendors._counts import count
from pipeline.vendors._halves import sendable
from pipeline.vendors._native import seal
from pipeline.vendors._wire import beyond_context, excerpt, kind_of
from pipeline.vendors.compatible import text_tools
from pipeline.vendors.compatible.request import REASONING
from stages.model import ErrorKind, ModelError, ModelTurn, Reply, StopReason, ToolCall, Usage

_DONE = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
_CUT = frozenset({"length", "max_tokens", "model_length"})
_CALLS = frozenset({"tool_calls", "function_call"})
_PLACEHOLDER = "(no text)"
_CODES: dict[str, ErrorKind] = {
    "rate_limit_exceeded": "rate_limit",
    "insufficient_quota": "billing",
    "context_length_exceeded": "too_large",
}
# Beside content and calls, what some servers want back: reasoning, and signatures of it.
_KEPT = (*REASONING, "extra_content")


def read(body: Mapping[str, Any], made_by: tuple[str, str], turn: int, *, in_text: bool, request_id: str) -> Reply:
    """Return the reply in our terms. `made_by` is the server's mark and the model that was asked for.

    :raises ModelError: the failure a server reports inside a 200, or kind protocol where it is no whole completion.
    """
    choice = _choice(body)
    message = choice["message"]
    text = _text(message)
    native: dict[str, Any]
    if in_text:
        found = text_tools.extract(text, turn)
        said, calls, native = found.text, found.calls, {"text": found.kept}
    else:
        raw_calls = _raw_calls(message, turn)
        calls = tuple(_call(each) for each in raw_calls)
        said, native = text, {"message": _kept(message, text, raw_calls)}
    stop, why = _stop(choice["finish_reason"], message, calls)
    return Reply(
        ModelTurn(sendable(said), calls, seal(*made_by, native)),
        stop,
        usage(body.get("usage")),
        model=str(body.get("model", "")),
        id=request_id or str(body.get("id", "")),
        metadata={"refusal": why} if stop == "refused" else {},
    )


def usage(said: Any) -> Usage:
    """Return a completion's usage in our terms; a server that reports none is charged by the caller's own bound.

    Some servers leave the reasoning out of `completion_tokens`; in their total it is, and it is output.
    """
    if not isinstance(said, Mapping):
        return Usage(source="estimated")
    inputs, outputs = said.get("prompt_tokens_details"), said.get("completion_tokens_details")
    prompt = count(said, "prompt_tokens")
    return Usage(
        input=prompt,
        cache_read=count(inputs, "cached_tokens"),
        cache_write=count(inputs, "cache_write_tokens"),
        output=max(count(said, "completion_tokens"), count(said, "total_tokens") - prompt if prompt else 0),
        reasoning=count(outputs, "reasoning_tokens"),
    )


def parts_text(content: Sequence[Any]) -> str:
    """Return the text of a content that comes in parts; thoughts have theirs elsewhere."""
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def _choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one choice there must be."""
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    error = body.get("error") or (choice.get("error") if isinstance(choice, dict) else None)
    if error:
        raise _failure(error, body)
    if (
        not isinstance(choice, dict)
        or not isinstance(choice.get("message"), dict)
        or not isinstance(choice.get("finish_reason"), str)
    ):
        raise ModelError("protocol", f"the answer is not a chat completion: {excerpt(dict(body))}")
    return choice


def _failure(error: Any, body: Mapping[str, Any]) -> ModelError:
    """Return the failure that a 200 can hold: the server had begun to answer, so it may be charged for."""
    code = error.get("code") if isinstance(error, Mapping) else None
    words = excerpt(error.get("message") if isinstance(error, Mapping) else error)
    number = code if isinstance(code, int) and not isinstance(code, bool) else _number(code)
    kind = kind_of(number) if number >= 300 else _CODES.get(str(code), "server")
    if kind in {"bad_request", "server"} and beyond_context(words):
        kind = "too_large"
    spent = usage(body.get("usage"))
    reported = (spent.input, spent.cache_read) if spent.source == "reported" else None
    return ModelError(kind, f"the server failed with {code}: {words}", input_reported=reported, status=200)


def _number(code: Any) -> int:
    return int(code) if isinstance(code, str) and code.isdecimal() else 0


def _stop(finish: str, message: Mapping[str, Any], calls: Sequence[ToolCall]) -> tuple[StopReason, str]:
    refusal = message.get("refusal")
    if finish == "content_filter" or (isinstance(refusal, str) and refusal):
        return "refused", str(refusal or finish)
    said = finish.lower()
    if said in _CUT:
        return "truncated", ""
    if said in _DONE or said in _CALLS:
        return ("tools" if calls else "done"), ""
    raise ModelError("protocol", f"the completion ended for an unknown reason: {finish!r}")


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return parts_text(content)
    if content is not None and not isinstance(content, str):
        raise ModelError("protocol", f"the message's content is no text: {excerpt(content)}")
    return str(content or message.get("refusal") or "")


def _raw_calls(message: Mapping[str, Any], turn: int) -> list[dict[str, Any]]:
    """Return the calls as they go back: in the order of their index, each with an id of its own."""
    listed = message.get("tool_calls") or []
    if not isinstance(listed, list) or not all(_is_call(each) for each in listed):
        raise ModelError("protocol", f"the message's tool calls are none: {excerpt(listed)}")
    ordered = sorted(listed, key=_index)
    ids = [each.get("id") for each in ordered]
    made = [f"call-{turn}-{number}" for number, _ in enumerate(ordered, 1)]
    unique = len(set(ids)) == len(ids) and all(isinstance(each, str) and each for each in ids)
    return [
        dict(each) | {"id": known if unique else new, "type": "function"}
        for each, known, new in zip(ordered, ids, made, strict=True)
    ]


def _is_call(each: Any) -> bool:
    function = each.get("function") if isinstance(each, dict) else None
    return (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and isinstance(function.get("arguments", ""), str | dict)
    )


def _index(call: Mapping[str, Any]) -> int:
    index = call.get("index")
    return index if isinstance(index, int) else 0


def _call(each: Mapping[str, Any]) -> ToolCall:
    function = each["function"]
    raw = function.get("arguments", "")
    arguments = raw
    if isinstance(raw, str):
        try:
            arguments = json.loads(raw or "{}")
        except ValueError:
            arguments = None
    if isinstance(arguments, dict):
        return ToolCall(each["id"], function["name"], arguments)
    return ToolCall(each["id"], function["name"], None, raw)


def _kept(message: Mapping[str, Any], text: str, calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the message as it goes back: as received, without what only an answer has."""
    kept: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else _PLACEHOLDER)}
    if calls:
        kept["tool_calls"] = [{name: each[name] for name in each if name != "index"} for each in calls]
    return kept | {name: message[name] for name in _KEPT if message.get(name)}
