"""The Responses API as Codex uses it: streamed, with whatever headers and fields it likes."""

import json
from typing import Any

from stages.model import Usage
from tests.clis.wire import Reply, Reset, Stream, Whole
from tests.loopback.brain import Brain, Conversation, Say
from tests.loopback.serving import LoggedRequest
from tests.loopback.tokens import size


def responses(request: LoggedRequest, brain: Brain) -> Reply | None:
    """Answer `POST .../responses`."""
    if request.method != "POST" or not request.path.split("?")[0].endswith("/responses"):
        return None
    body = request.json
    say = brain(_conversation(body))
    if say.status != 200:
        error = {
            "message": say.message,
            "type": say.code or "error",
            "code": say.code or None,
            **dict(say.details or {}),
        }
        return Whole({"error": error}, say.status, say.headers)
    if say.fault == "reset":
        return Reset()
    events = _events(body, say)
    if say.fault == "hang":
        return Stream(events, keep=1, hang=True)
    return Stream(events, keep=2 if say.fault == "truncated_json" else None)


def _conversation(body: Any) -> Conversation:
    items = body["input"]
    system = [_text(item) for item in items if item.get("role") in {"developer", "system"}]
    return Conversation(
        model=body["model"],
        system="\n".join([body.get("instructions") or "", *system]),
        texts=[_text(item) for item in items if item.get("role") == "user"],
        turn=sum(item.get("role") == "assistant" for item in items),
        tool_results=(),
        tools=[tool.get("name", tool.get("type")) for tool in body.get("tools", [])],
        max_output_tokens=body.get("max_output_tokens", 0),
        effort=(body.get("reasoning") or {}).get("effort"),
    )


def _text(item: Any) -> str:
    content = item.get("content", "")  # an item that adds tools has none
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _events(body: Any, say: Say) -> list[tuple[str, Any]]:
    usage = say.usage or Usage(input=size(body["input"]), output=size(say.text or "x"))
    message = {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": say.text, "annotations": []}],
    }
    if say.stop == "refused":
        message["content"] = [{"type": "refusal", "refusal": say.text or "I cannot help with that."}]
    output = [message] if say.text or say.stop == "refused" else []
    output += [  # calls of tools, after the text
        {
            "id": f"fc_{name}",
            "type": "function_call",
            "call_id": f"call_{name}",
            "name": name,
            "arguments": json.dumps(given),
        }
        for name, given in say.calls
    ]
    cut = say.stop == "truncated"
    ended = {
        "id": "resp_loopback",
        "object": "response",
        "model": body["model"],
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": output,
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cache_read},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        },
    }
    found: list[tuple[str, Any]] = [
        ("response.created", {"response": {**ended, "status": "in_progress", "output": []}})
    ]
    for index, item in enumerate(output):
        found.append(
            (
                "response.output_item.added",
                {"output_index": index, "item": {**item, **({"content": []} if "content" in item else {})}},
            )
        )
        found.append(("response.output_item.done", {"output_index": index, "item": item}))
    found.append(("response.incomplete" if cut else "response.completed", {"response": ended}))
    return [(name, {"type": name, **data}) for name, data in found]
