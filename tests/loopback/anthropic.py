"""The Messages API, as strict as the vendor: `POST /v1/messages` and `/v1/messages/count_tokens`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stages.model import Usage
from tests.loopback import schemas
from tests.loopback.brain import Brain, Conversation, Result, Say
from tests.loopback.seal import seal
from tests.loopback.serving import LoggedRequest
from tests.loopback.tokens import PrefixCache, size
from tests.loopback.wire import Answer, LoopbackServer, Rejected, error_answer

KEY = "sk-ant-loopback-0123456789"
VERSION = "2026-10-21"
_TOP = {
    "model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    "metadata", "stop_sequences", "stream", "service_tier",
}  # fmt: skip
_COUNTED = _TOP - {"max_tokens", "stream", "metadata", "service_tier", "stop_sequences"}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_WITHOUT_EFFORT = ("claude-haiku-4-5", "claude-sonnet-4-5")
_ALWAYS_THINKING = ("claude-fable", "claude-mythos", "claude-opus-5-5")
_ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    500: "api_error", 529: "overloaded_error",
}  # fmt: skip
_STOPS = {"truncated": "max_tokens", "refused": "refusal"}


@contextmanager
def anthropic_server(brain: Brain, *, key: str = KEY) -> Iterator[LoopbackServer]:
    """Serve the Messages API; every call must carry `key`."""
    with LoopbackServer(_Messages(key), brain).running() as server:
        yield server


def _reject(message: str, status: int = 400) -> Rejected:
    return Rejected(status, _error(status, message), {"request-id": "req_rejected"})


def _error(status: int, message: str, kind: str = "", details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"type": kind or _ERROR_TYPES.get(status, "api_error"), "message": message}
    if details:
        error["details"] = dict(details)
    return {"type": "error", "error": error, "request_id": "req_loopback"}


class _Messages:
    suffix = ""

    def __init__(self, key: str) -> None:
        self._key = key
        self._written: dict[str, list[dict[str, Any]]] = {}

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        if request.path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            raise _reject("Not Found", 404)
        self._check_headers(request.headers)
        body = request.json
        if not isinstance(body, dict):
            raise _reject("The request body is not valid JSON")
        blocks = [body.get("tools", []), body.get("system", ""), *body.get("messages", [])]
        if request.path.endswith("count_tokens"):
            _check_body(body, _COUNTED)
            self._check_history(body)
            return Answer(200, {"input_tokens": sum(size(block) for block in blocks)})
        _check_body(body, _TOP)
        _check_limits(body)
        self._check_history(body)
        conversation = _conversation(body)
        say = brain(conversation)
        if say.status != 200:
            return error_answer(say, _error(say.status, say.message, say.code, say.details))
        read, write = cache.read_and_write(body["model"], blocks) if _caches(body) else (0, 0)
        total = sum(size(block) for block in blocks)
        reply = self._reply(body, conversation, say, Usage(total, read, write))
        headers = {"request-id": f"req_{conversation.turn + 1:04}", **say.headers}
        return Answer(200, reply if say.body is None else say.body, headers, say.fault)

    def _check_headers(self, headers: Mapping[str, str]) -> None:
        if headers.get("authorization") != f"Bearer {self._key}":
            raise _reject("invalid bearer token", 401)
        if headers.get("anthropic-version") != VERSION:
            raise _reject(f"anthropic-version: {headers.get('anthropic-version')!r} is not the version of this test")

    def _check_history(self, body: Mapping[str, Any]) -> None:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise _reject("messages: at least one message is required")
        for index, message in enumerate(messages):
            role = "user" if index % 2 == 0 else "assistant"
            if message.get("role") != role:
                raise _reject(f"messages.{index}: roles must alternate; expected {role!r}")
            if not message.get("content"):
                raise _reject(f"messages.{index}: all messages must have non-empty content")
            _check_texts(index, message["content"])
            if role == "assistant":
                self._check_assistant(index, message["content"], body["model"])
        if messages[-1]["role"] != "user":
            raise _reject("This model does not support assistant message prefill.")
        _check_tool_results(messages)

    def _check_assistant(self, index: int, content: Any, model: str) -> None:
        blocks = content if isinstance(content, list) else []
        for number, block in enumerate(blocks):
            if block.get("type") == "thinking" and block.get("signature") != seal(model, block.get("thinking")):
                raise _reject(f"messages.{index}.content.{number}: Invalid `signature` in `thinking` block")
        for block in blocks:
            written = self._written.get(block.get("id", ""))
            if block.get("type") == "tool_use" and written is not None and written != blocks:
                raise _reject(
                    f"messages.{index}.content: `thinking` or `redacted_thinking` blocks in the latest assistant "
                    "message cannot be modified. These blocks must remain as they were in the original response."
                )

    def _reply(self, body: Mapping[str, Any], conversation: Conversation, say: Say, counted: Usage) -> dict[str, Any]:
        thinks = say.reasoning and body.get("thinking", {}).get("type") in {"adaptive", "enabled"}
        content: list[dict[str, Any]] = []
        if thinks:
            thought = f"turn {conversation.turn + 1} of {body['model']}"
            content.append({"type": "thinking", "thinking": thought, "signature": seal(body["model"], thought)})
        if say.text:
            content.append({"type": "text", "text": say.text})
        for number, (name, arguments) in enumerate(say.calls, 1):
            identity = f"toolu_{seal(body['messages'], number).translate(_PLAIN)[:20]}"
            content.append({"type": "tool_use", "id": identity, "name": name, "input": arguments})
            self._written[identity] = content
        stop = _STOPS.get(say.stop or "", say.stop) or ("tool_use" if say.calls else "end_turn")
        return {
            "id": f"msg_{conversation.turn + 1:04}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": say.code or "cyber"} if stop == "refusal" else None,
            "usage": _usage(say, counted, content),
        }


_PLAIN = str.maketrans("", "", "+/=")


def _check_texts(index: int, content: Any) -> None:
    texts = [content] if isinstance(content, str) else [b.get("text", "") for b in content if b.get("type") == "text"]
    if any(not text.strip() for text in texts):
        raise _reject(f"messages.{index}: text content blocks must contain non-whitespace text")


def _check_tool_results(messages: Sequence[Mapping[str, Any]]) -> None:
    for index in range(1, len(messages) - 1, 2):
        calls = [b["id"] for b in _blocks(messages[index]) if b.get("type") == "tool_use"]
        following = _blocks(messages[index + 1])
        results = [b["tool_use_id"] for b in following if b.get("type") == "tool_result"]
        missing = [call for call in calls if call not in results]
        if missing:
            raise _reject(
                f"messages.{index + 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}."
            )
        extra = [result for result in results if result not in calls]
        if extra or len(results) != len(calls):
            raise _reject(
                f"messages.{index + 1}.content: unexpected `tool_use_id` found in `tool_result` blocks: {extra}"
            )
        kinds = [b.get("type") for b in following]
        if kinds[: len(results)] != ["tool_result"] * len(results):
            raise _reject(f"messages.{index + 1}: `tool_result` blocks must come first")


def _check_body(body: Mapping[str, Any], allowed: set[str]) -> None:
    for name in body:
        if name not in allowed:
            raise _reject(f"{name}: Extra inputs are not permitted")
    if not isinstance(body.get("model"), str):
        raise _reject("model: Field required")
    for number, tool in enumerate(body.get("tools", [])):
        extra = set(tool) - {"name", "description", "input_schema", "strict", "cache_control"}
        if extra:
            raise _reject(f"tools.{number}.{min(extra)}: Extra inputs are not permitted")
        problem = (
            schemas.complaint(tool.get("input_schema"), forbidden=schemas.UNSUPPORTED) if tool.get("strict") else None
        )
        if problem:
            raise _reject(f"tools.{number}.custom.input_schema: {problem}")
    if json.dumps(body).count('"cache_control"') > 4:
        raise _reject("A maximum of 4 blocks with cache_control may be provided.")


def _check_limits(body: Mapping[str, Any]) -> None:
    model, limit = body["model"], body.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        raise _reject("max_tokens: Field required")
    effort = body.get("output_config", {}).get("effort")
    if effort is not None and (effort not in _EFFORTS or model.startswith(_WITHOUT_EFFORT)):
        raise _reject(f"output_config.effort: {effort!r} is not supported by {model}")
    thinking = body.get("thinking", {}).get("type", "adaptive")
    if thinking not in {"adaptive", "disabled"} or (thinking == "disabled" and model.startswith(_ALWAYS_THINKING)):
        raise _reject(f"thinking.type: {thinking!r} is not supported by {model}")
    if "thinking" in body and thinking == "adaptive" and model.startswith(_WITHOUT_EFFORT):
        raise _reject(f"thinking.type: adaptive thinking is not supported by {model}")


def _conversation(body: Mapping[str, Any]) -> Conversation:
    names: dict[str, str] = {}
    texts: list[str] = []
    results: list[Result] = []
    for message in body["messages"]:
        for block in _blocks(message):
            if block["type"] == "tool_use":
                names[block["id"]] = block["name"]
            elif block["type"] == "tool_result":
                content = _text(block.get("content", ""))
                results.append(Result(names[block["tool_use_id"]], content, bool(block.get("is_error"))))
            elif block["type"] == "text" and message["role"] == "user":
                texts.append(block["text"])
    return Conversation(
        model=body["model"],
        system=_text(body.get("system", "")),
        texts=texts,
        turn=sum(message["role"] == "assistant" for message in body["messages"]),
        tool_results=results,
        tools=[tool["name"] for tool in body.get("tools", [])],
        max_output_tokens=body["max_tokens"],
        effort=body.get("output_config", {}).get("effort"),
    )


def _caches(body: Mapping[str, Any]) -> bool:
    return '"cache_control"' in json.dumps(body)


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def _usage(say: Say, counted: Usage, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    thoughts = size([block for block in content if block["type"] == "thinking"])
    usage = say.usage or Usage(counted.input, counted.cache_read, counted.cache_write, size(list(content)), thoughts)
    return {
        "input_tokens": usage.input - usage.cache_read - usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }
