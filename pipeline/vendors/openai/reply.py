"""Read OpenAI's answer: nothing is believed that does not have the shape of a response."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.vendors._counts import count
from pipeline.vendors._halves import sendable
from pipeline.vendors._native import seal
from pipeline.vendors._wire import excerpt
from pipeline.vendors.openai.request import VENDOR
from stages.model import ErrorKind, ModelError, ModelTurn, Reply, StopReason, ToolCall, Usage

_FAILURES: dict[str, ErrorKind] = {
    "rate_limit_exceeded": "rate_limit",
    "insufficient_quota": "billing",
    "context_length_exceeded": "too_large",
    "invalid_prompt": "bad_request",
}
_CUT = {"max_output_tokens", "max_tokens"}


def read(body: Mapping[str, Any], model: str, request_id: str) -> Reply:
    """Return the reply in our terms; `model` is the one that was asked for.

    :raises ModelError: the failure the vendor reports inside a 200, or kind protocol where it is no whole response.
    """
    output: Any = body.get("output")
    if not _is_output(output) or not isinstance(body.get("status"), str):
        raise ModelError("protocol", f"the answer is not a response: {excerpt(dict(body))}")
    stop, why = _stop(body, output)
    if not isinstance(body.get("usage"), Mapping):
        raise ModelError("protocol", "the response reports no usage")
    return Reply(
        ModelTurn(sendable(_text(output)), _calls(output), seal(VENDOR, model, output)),
        stop,
        usage(body["usage"]),
        model=str(body.get("model", "")),
        id=request_id or str(body.get("id", "")),
        metadata={"refusal": why} if stop == "refused" else {},
    )


def usage(said: Mapping[str, Any]) -> Usage:
    """Return OpenAI's usage in our terms: both include what the cache and the reasoning took."""
    inputs, outputs = said.get("input_tokens_details"), said.get("output_tokens_details")
    return Usage(
        input=count(said, "input_tokens"),
        cache_read=count(inputs, "cached_tokens"),
        cache_write=count(inputs, "cache_write_tokens"),
        output=count(said, "output_tokens"),
        reasoning=count(outputs, "reasoning_tokens"),
    )


def _stop(body: Mapping[str, Any], output: Sequence[Mapping[str, Any]]) -> tuple[StopReason, str]:
    """Return why the reply ended, and the words of a refusal."""
    refusals = [part["refusal"] for part in _parts(output) if isinstance(part.get("refusal"), str)]
    match body["status"]:
        case "completed" if refusals:
            return "refused", " ".join(refusals)
        case "completed":
            return ("tools" if _calls(output) else "done"), ""
        case "incomplete":
            reason = (body.get("incomplete_details") or {}).get("reason")
            if reason == "content_filter":
                return "refused", "content_filter"
            if reason in _CUT:
                return "truncated", ""
            raise ModelError("protocol", f"the response is incomplete for an unknown reason: {reason!r}")
        case "failed":
            return _failure(body)
        case status:
            raise ModelError("protocol", f"the response has the status {status!r}")


def _failure(body: Mapping[str, Any]) -> tuple[StopReason, str]:
    """Return the refusal that a failed response can be.

    :raises ModelError: any other failure, with the input it was charged for where that is reported.
    """
    error = body.get("error") or {}
    code, words = str(error.get("code")), excerpt(error.get("message"))
    said = body.get("usage")
    if "policy" in code and isinstance(said, Mapping):
        return "refused", f"{code}: {words}"
    spent = usage(said) if isinstance(said, Mapping) else None
    reported = (spent.input, spent.cache_read) if spent else None
    kind = _FAILURES.get(code, "server")
    raise ModelError(kind, f"openai failed with {code}: {words}", input_reported=reported, status=200)


def _is_output(output: Any) -> bool:
    return isinstance(output, list) and all(_is_item(item) for item in output)


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    match item.get("type"):
        case "function_call":
            return all(isinstance(item.get(name), str) for name in ("call_id", "name", "arguments"))
        case "message":
            content = item.get("content")
            return isinstance(content, list) and all(isinstance(part, dict) for part in content)
        case kind:
            return isinstance(kind, str)


def _parts(output: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [part for item in output if item["type"] == "message" for part in item["content"]]


def _text(output: Sequence[Mapping[str, Any]]) -> str:
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in _parts(output))


def _calls(output: Sequence[Mapping[str, Any]]) -> tuple[ToolCall, ...]:
    return tuple(_call(item) for item in output if item["type"] == "function_call")


def _call(item: Mapping[str, Any]) -> ToolCall:
    raw = item["arguments"]
    try:
        arguments = json.loads(raw)
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        return ToolCall(item["call_id"], item["name"], arguments)
    return ToolCall(item["call_id"], item["name"], None, raw)
