"""The Code Assist API as Gemini's command line uses it behind a Google login."""

from collections.abc import Mapping
from typing import Any

from stages.model import Usage
from tests.clis.wire import Reply, Reset, Stream, Whole
from tests.loopback.brain import Brain, Conversation, Say
from tests.loopback.serving import LoggedRequest
from tests.loopback.tokens import size

_STOPS = {"truncated": "MAX_TOKENS", "refused": "SAFETY"}
_LOADED = {
    "currentTier": {"id": "standard-tier", "name": "Loopback"},
    "allowedTiers": [],
    "cloudaicompanionProject": "loopback-project",
}


def code_assist(request: LoggedRequest, brain: Brain) -> Reply | None:
    """Answer `v1internal:loadCodeAssist` and `v1internal:streamGenerateContent`; the rest gets an empty object."""
    method = request.path.split("?")[0].rpartition(":")[2]
    if "v1internal:" not in request.path:
        return None
    if method == "loadCodeAssist":
        return Whole(_LOADED)
    if method not in {"streamGenerateContent", "generateContent"}:
        return Whole({})
    body = request.json
    say = brain(_conversation(body))
    if say.status != 200:
        error = {"code": say.status, "message": say.message, "status": say.code or "UNKNOWN", "details": _details(say)}
        return Whole({"error": error}, say.status, say.headers)
    if say.fault == "reset":
        return Reset()
    chunks = [{"response": chunk, "traceId": "trace"} for chunk in _chunks(body, say)]
    if method == "generateContent":
        return Whole(chunks[-1])
    events = [("", chunk) for chunk in chunks]
    if say.fault == "hang":
        return Stream(events, keep=1, hang=True)
    return Stream(events, keep=1 if say.fault == "truncated_json" else None)


def _details(say: Say) -> list[Mapping[str, Any]]:
    return [dict(say.details)] if say.details else []


def _conversation(body: Any) -> Conversation:
    asked = body["request"]
    settings = asked.get("generationConfig", {})
    return Conversation(
        model=body["model"],
        system=_text(asked.get("systemInstruction", {})),
        texts=[_text(content) for content in asked["contents"] if content.get("role") == "user"],
        turn=sum(content.get("role") == "model" for content in asked["contents"]),
        tool_results=(),
        tools=[each["name"] for tool in asked.get("tools", []) for each in tool.get("functionDeclarations", [])],
        max_output_tokens=settings.get("maxOutputTokens", 0),
        effort=settings.get("thinkingConfig", {}).get("thinkingLevel"),
        temperature=settings.get("temperature"),
    )


def _text(content: Any) -> str:
    return "\n".join(part.get("text", "") for part in content.get("parts", []))


def _chunks(body: Any, say: Say) -> list[dict[str, Any]]:
    usage = say.usage or Usage(input=size(body["request"]["contents"]), output=size(say.text or "x"))
    counted = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "cachedContentTokenCount": usage.cache_read,
        "totalTokenCount": usage.input + usage.output,
    }
    half = len(say.text) // 2
    parts = [{"text": piece} for piece in (say.text[:half], say.text[half:]) if piece]
    found = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts]
    last = {"content": {"role": "model", "parts": []}, "finishReason": _STOPS.get(say.stop or "", "STOP")}
    return [*found, {"candidates": [last], "usageMetadata": counted, "modelVersion": body["model"]}]
