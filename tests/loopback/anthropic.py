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
from tests.loopback.wire import Answer, LoopbackServer, Rejected, Stream, error_answer, event, halves

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
def anthropic_server(
    brain: Brain, *, key: str = KEY, ending: Mapping[str, str | None] | None = None
) -> Iterator[LoopbackServer]:
    """Serve the Messages API; every call must carry `key`. `ending` are deprecated models with their last dates."""
    with LoopbackServer(_Messages(key, ending), brain).running() as server:
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

    def __init__(self, key: str, ending: Mapping[str, str | None] | None = None) -> None:
        self._key = key
        self._ending = ending
        self._written: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by model and call id

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        if request.method == "GET" and self._ending is not None:
            self._check_headers(request.headers)
            return Answer(200, _model_info(request.path.rpartition("/")[2], self._ending))
        if request.path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            raise _reject("Not Found", 404)
        self._check_headers(request.headers)
        body = request.json
        if not isinstance(body, dict):
            raise _reject("The request body is not valid JSON")
        if request.path.endswith("count_tokens"):
            _check_body(body, _COUNTED)
            self._check_history(body)
            return Answer(200, {"input_tokens": sum(size(block) for block, _ in _prompt(body))})
        _check_body(body, _TOP)
        _check_limits(body)
        self._check_history(body)
        conversation = _conversation(body)
        say = brain(conversation)
        if say.status != 200:
            return error_answer(say, _error(say.status, say.message, say.code, say.details))
        # A cache belongs to a model and to how it thinks.
        place = json.dumps([body["model"], body.get("thinking"), body.get("output_config")])
        read, write = cache.at_breakpoints(place, _prompt(body))
        total = sum(size(block) for block, _ in _prompt(body))
        reply = self._reply(body, conversation, say, Usage(total, read, write))
        headers = {"request-id": f"req_{conversation.turn + 1:04}", **say.headers}
        stream = _stream(reply) if body.get("stream") and say.body is None and not say.whole else None
        return Answer(200, reply if say.body is None else say.body, headers, say.fault, stream, say.piece)

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
            written = self._written.get((model, block.get("id", "")))
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
            self._written[body["model"], identity] = content
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


def _model_info(model: str, ending: Mapping[str, str | None]) -> dict[str, Any]:
    date = ending.get(model)
    return {
        "id": model,
        "type": "model",
        "display_name": model,
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "deprecated" if model in ending else "active",
        "retires_at": f"{date}T00:00:00Z" if date else None,
    }


_PLAIN = str.maketrans("", "", "+/=")
_NULL = {"input_tokens": None, "cache_read_input_tokens": None, "cache_creation_input_tokens": None}


def _stream(message: Mapping[str, Any]) -> Stream:
    """Return a message in the vendor's events; what ends it repeats only the output's count."""
    usage = message["usage"]
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": {**usage, "output_tokens": 1},
    }
    found = [_event("message_start", message=begun), _event("ping")]
    for index, block in enumerate(message["content"]):
        opened, deltas = _deltas(block)
        found.append(_event("content_block_start", index=index, content_block=opened))
        found += [_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        found.append(_event("content_block_stop", index=index))
    said = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    found += [_event("message_delta", delta=said, usage={**usage, **_NULL}), _event("message_stop")]
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return Stream(found, event(failure, "error"))


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _deltas(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a block as it opens, and what is added to it."""
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}, [
                {"type": "text_delta", "text": each} for each in halves(block["text"])
            ]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": each} for each in halves(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
        case _:
            raw = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
            pieces = ["", *halves(raw if raw != "{}" else "")]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": each} for each in pieces]


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


def _prompt(body: Mapping[str, Any]) -> list[tuple[Any, bool]]:
    """Return the prompt block by block, each without its cache marker and with whether it has one."""
    blocks = [(tool, "tools") for tool in body.get("tools", [])]
    system = body.get("system", "")
    blocks += [(block, "system") for block in ([_as_block(system)] if isinstance(system, str) else system)]
    blocks += [(block, message["role"]) for message in body["messages"] for block in _blocks(message)]
    plain = [{"of": of, **{name: value for name, value in b.items() if name != "cache_control"}} for b, of in blocks]
    marks = ["cache_control" in block for block, _ in blocks]
    marks[-1] = marks[-1] or "cache_control" in body
    return list(zip(plain, marks, strict=True))


def _as_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [_as_block(content)] if isinstance(content, str) else content


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
