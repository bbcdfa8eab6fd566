"""Read Gemini's answer: nothing is believed that does not have the shape of a response."""

from pipeline.vendors._halves import sendable
from pipeline.vendors._native import seal
from pipeline.vendors._wire import excerpt
from pipeline.vendors.google.request import VENDOR
from pipeline.vendors.google.sdk import types
from stages.model import ModelError, ModelTurn, Reply, StopReason, ToolCall, Usage

_STOPS: dict[str, StopReason] = {
    "STOP": "done",
    "MAX_TOKENS": "truncated",
    # More than one answer may hold: the SDK's way of asking for the rest behind our back is switched off.
    "CONTINUATION": "truncated",
    "SAFETY": "refused",
    "RECITATION": "refused",
    "BLOCKLIST": "refused",
    "PROHIBITED_CONTENT": "refused",
    "SPII": "refused",
}


def read(response: types.GenerateContentResponse, model: str, turn: int) -> Reply:
    """Return the reply in our terms; `model` is the one that was asked for, `turn` numbers its turns from 1.

    :raises ModelError: kind protocol where it is no whole response or the model's call was malformed.
    """
    if response.usage_metadata is None:
        raise ModelError("protocol", f"the answer is not a response: {excerpt(response.model_dump(exclude_none=True))}")
    spent = usage(response.usage_metadata)
    candidate = response.candidates[0] if response.candidates else None
    content = (candidate.content if candidate else None) or types.Content(role="model", parts=[])
    calls = _calls(content, turn)
    stop, why = _stop(response, candidate, spent)
    if stop == "done" and calls:
        stop = "tools"
    native = seal(VENDOR, model, content.model_dump(mode="json", exclude_none=True))
    return Reply(
        ModelTurn(sendable(_text(content)), calls, native),
        stop,
        spent,
        model=response.model_version or "",
        id=response.response_id or "",
        metadata={"refusal": why} if stop == "refused" else {},
    )


def usage(said: types.GenerateContentResponseUsageMetadata) -> Usage:
    """Return Gemini's usage in our terms: its candidates leave out the thoughts, its prompt the tools' own use."""
    thoughts = said.thoughts_token_count or 0
    return Usage(
        input=(said.prompt_token_count or 0) + (said.tool_use_prompt_token_count or 0),
        cache_read=said.cached_content_token_count or 0,
        output=(said.candidates_token_count or 0) + thoughts,
        reasoning=thoughts,
    )


def _stop(
    response: types.GenerateContentResponse, candidate: types.Candidate | None, spent: Usage
) -> tuple[StopReason, str]:
    """Return why the reply ended, and the vendor's word for a refusal."""
    blocked = response.prompt_feedback.block_reason if response.prompt_feedback else None
    if candidate is None and blocked:
        return "refused", blocked.value
    reason = candidate.finish_reason.value if candidate and candidate.finish_reason else None
    if reason in _STOPS:
        return _STOPS[reason], reason
    message = candidate.finish_message if candidate else None
    words = f"the reply ended with {reason}" if reason else "the reply has no end"
    raise ModelError(
        "protocol", f"{words}: {excerpt(message)}" if message else words, input_reported=(spent.input, spent.cache_read)
    )


def _text(content: types.Content) -> str:
    return "".join(part.text for part in content.parts or () if part.text and not part.thought)


def _calls(content: types.Content, turn: int) -> tuple[ToolCall, ...]:
    found = [part.function_call for part in content.parts or () if part.function_call]
    return tuple(
        ToolCall(call.id or f"call-{turn}-{number}", call.name or "", dict(call.args or {}))
        for number, call in enumerate(found, 1)
    )
