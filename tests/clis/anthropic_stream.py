"""The Messages API as Claude Code uses it: streamed, with whatever headers and fields it likes."""

from typing import Any

from stages.model import Usage
from tests.clis.wire import Reply, Reset, Stream, Whole
from tests.loopback.brain import Brain, Conversation, Say
from tests.loopback.serving import LoggedRequest
from tests.loopback.tokens import size

_STOPS = {"truncated": "max_tokens", "refused": "refusal"}


def messages(request: LoggedRequest, brain: Brain) -> Reply | None:
    """Answer `POST /v1/messages`."""
    if request.method != "POST" or request.path.split("?")[0] != "/v1/messages":
        return None
    body = request.json
    say = brain(_conversation(body))
    if say.status != 200:
        error = {"type": say.code or "api_error", "message": say.message}
        return Whole({"type": "error", "error": error}, say.status, say.headers)
    if say.fault == "reset":
        return Reset()
    if not body.get("stream"):
        return Whole(_message(body, say) if say.body is None else say.body)
    events = _events(_message(body, say))
    if say.fault == "hang":
        return Stream(events, keep=2, hang=True)
    return Stream(events, keep=3 if say.fault == "truncated_json" else None)


def _conversation(body: Any) -> Conversation:
    system = body.get("system", "")
    return Conversation(
        model=body["model"],
        system=system if isinstance(system, str) else "\n".join(block["text"] for block in system),
        texts=[_text(message["content"]) for message in body["messages"]],
        turn=sum(message["role"] == "assistant" for message in body["messages"]),
        tool_results=(),
        tools=[tool.get("name", "") for tool in body.get("tools", [])],
        max_output_tokens=body.get("max_tokens", 0),
        effort=body.get("output_config", {}).get("effort"),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def _message(body: Any, say: Say) -> dict[str, Any]:
    usage = say.usage or Usage(
        input=size(body["messages"]) + size(body.get("system", "")), output=size(say.text or "x")
    )
    return {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": say.text}] if say.text else [],
        "stop_reason": _STOPS.get(say.stop or "", say.stop or "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input - usage.cache_read - usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write,
            "output_tokens": usage.output,
        },
    }


def _events(message: dict[str, Any]) -> list[tuple[str, Any]]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    found: list[tuple[str, Any]] = [("message_start", {"message": begun})]
    for index, block in enumerate(message["content"]):
        found.append(("content_block_start", {"index": index, "content_block": {**block, "text": ""}}))
        found.append(("content_block_delta", {"index": index, "delta": {"type": "text_delta", "text": block["text"]}}))
        found.append(("content_block_stop", {"index": index}))
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    found.append(("message_delta", {"delta": delta, "usage": usage}))
    found.append(("message_stop", {}))
    return [(name, {"type": name, **data}) for name, data in found]
