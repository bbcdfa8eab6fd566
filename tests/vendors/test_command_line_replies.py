"""What the three programs print, in the shapes they print it in, becomes a reply or one typed error."""
# ruff: noqa: RUF001 - one of them prints a typographic apostrophe

import json
import time
from typing import Any

import pytest

from pipeline.vendors._command_line import Answer, Ears
from pipeline.vendors.claude_code.ears import ClaudeEars
from pipeline.vendors.codex.ears import CodexEars
from pipeline.vendors.codex.reset import seconds_until
from pipeline.vendors.gemini_cli.ears import GeminiEars
from stages.model import ModelError, Usage

NOON = 1_795_176_000.0  # 2026-11-20 12:00 UTC, a Friday
REQUESTING = {"type": "system", "subtype": "status", "status": "requesting"}


def tell(ears: Ears, *lines: object) -> list[bool]:
    return [ears.said(line if isinstance(line, str) else json.dumps(line)) for line in lines]


def failure(ears: Ears, code: int | None = 1) -> ModelError:
    with pytest.raises(ModelError) as raised:
        ears.answer(code)
    return raised.value


def claude(model: str = "claude-opus-5-5", stop: str | None = "end_turn", text: str = "hi") -> list[dict[str, Any]]:
    begun = {"input_tokens": 300, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "model": model, "usage": begun}},
        *([{"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}] if text else []),
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "secret"}},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {**begun, "output_tokens": 40}},
    ]
    return [REQUESTING, *({"type": "stream_event", "event": event} for event in events)]


def result(**models: tuple[int, int]) -> dict[str, Any]:
    usage = {
        name.replace("_", "-"): {"inputTokens": fresh, "outputTokens": output, "cacheReadInputTokens": 100}
        for name, (fresh, output) in models.items()
    }
    return {"type": "result", "subtype": "success", "is_error": False, "result": "hi", "modelUsage": usage}


def test_claude_is_let_end_by_itself_after_a_whole_reply_and_its_own_sum_is_charged() -> None:
    ears = ClaudeEars("claude-opus-5-5")
    assert not any(tell(ears, "no json", "[]", *claude(), result(claude_opus_5_5=(350, 40))))
    assert ears.answer(0) == Answer("hi", "done", Usage(450, 100, 0, 40), "claude-opus-5-5", "msg_1")


@pytest.mark.parametrize(
    ("stop", "text", "expected"),
    [("max_tokens", "cut", "truncated"), ("refusal", "", "refused"), ("end_turn", "", "done")],
)
def test_claude_is_ended_where_it_would_ask_again(stop: str, text: str, expected: str) -> None:
    ears = ClaudeEars("claude-opus-5-5")
    assert tell(ears, *claude(stop=stop, text=text))[-1] is True
    answer = ears.answer(None)
    assert (answer.stop, answer.text) == (expected, text)
    assert answer.usage == Usage(450, 100, 50, 40)


def test_a_second_call_that_claude_had_begun_all_the_same_is_charged_by_estimate() -> None:
    ears = ClaudeEars("claude-opus-5-5")
    tell(ears, *claude(stop="max_tokens"), REQUESTING)
    assert ears.answer(None).usage == Usage(450 + 490, 100, 50, 40, source="estimated")


def test_another_model_in_claudes_sum_is_charged_and_named() -> None:
    ears = ClaudeEars("claude-opus-5-5")
    tell(ears, *claude(), result(claude_opus_5_5=(350, 40), claude_haiku_5_5=(1000, 9)))
    answer = ears.answer(0)
    assert answer.metadata == {"other_models": ["claude-haiku-5-5"]}
    assert answer.usage == Usage(1550, 200, 0, 49)


def test_a_reply_of_another_model_is_no_answer_and_its_cost_is_told() -> None:
    ears = ClaudeEars("claude-opus-5-5")
    tell(ears, *claude("claude-opus-4-8"), result(claude_opus_4_8=(350, 40)))
    error = failure(ears, 0)
    assert (error.kind, error.generated, error.input_reported) == ("protocol", True, (490, 100))
    assert "claude-opus-4-8 answered instead of claude-opus-5-5" in error.message


@pytest.mark.parametrize("name", ["claude-opus-5-5-20260801", "claude-opus-5-5[1m]"])
def test_a_dated_or_widened_name_is_the_same_model(name: str) -> None:
    ears = ClaudeEars("claude-opus-5-5")
    tell(ears, *claude(name), result())
    assert ears.answer(0).text == "hi"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"api_error_status": 429, "result": "limit"}, ("rate_limit", False)),
        ({"api_error_status": 529, "result": "Overloaded"}, ("overloaded", False)),
        ({"api_error_status": 500, "result": "boom"}, ("server", True)),
        ({"api_error_status": 400, "result": "Prompt is too long · ~210000 tokens"}, ("too_large", False)),
        ({"api_error_status": 400, "result": "Your credit balance is too low"}, ("billing", False)),
        ({"result": "Not logged in · Please run /login"}, ("auth", False)),
        ({"api_error": "connection_failed", "result": "ECONNRESET"}, ("network", True)),
        ({"api_error": "connection_failed", "result": "Connection refused"}, ("network", False)),
        ({"result": "something new"}, ("protocol", True)),
    ],
)
def test_claudes_failures_though_it_calls_them_success(line: dict[str, Any], expected: tuple[str, bool]) -> None:
    ears = ClaudeEars("claude-opus-5-5")
    tell(ears, {"type": "result", "subtype": "success", "is_error": True, **line})
    error = failure(ears)
    assert (error.kind, error.generated) == expected


def test_claudes_window_names_its_reset_and_a_retry_is_not_waited_for() -> None:
    ears = ClaudeEars("claude-opus-5-5")
    info = {"status": "rejected", "resetsAt": time.time() + 9000, "rateLimitType": "seven_day"}
    tell(ears, {"type": "rate_limit_event", "rate_limit_info": info})
    tell(ears, {"type": "result", "api_error_status": 429, "result": "You've hit your weekly limit"})
    assert failure(ears).retry_after == pytest.approx(9000, abs=5)
    again = ClaudeEars("claude-opus-5-5")
    assert tell(again, {"type": "system", "subtype": "api_retry", "error_status": 401}) == [True]
    assert failure(again, None).kind == "auth"


def test_claude_without_a_result_is_quoted() -> None:
    ears = ClaudeEars("claude-opus-5-5")
    ears.complained("error: unknown option '--tools'")
    error = failure(ears)
    assert (error.kind, "unknown option" in error.message) == ("protocol", True)


def codex() -> CodexEars:
    return CodexEars("gpt-6.1-sol", 3300, 4000, clock=lambda: NOON)


def test_the_last_message_of_codex_is_its_answer() -> None:
    ears = codex()
    items = [{"type": "item.completed", "item": {"type": "agent_message", "text": text}} for text in ("I will.", "hi")]
    warning = {"type": "item.completed", "item": {"type": "error", "message": "Model metadata not found"}}
    usage = {
        "input_tokens": 500,
        "cached_input_tokens": 100,
        "cache_write_input_tokens": 7,
        "output_tokens": 40,
        "reasoning_output_tokens": 10,
    }
    lines = [{"type": "thread.started", "thread_id": "t"}, warning, *items, {"type": "turn.completed", "usage": usage}]
    assert not any(tell(ears, *lines))
    metadata = {"warnings": ["Model metadata not found"]}
    assert ears.answer(0) == Answer("hi", "done", Usage(500, 100, 7, 40, 10), "gpt-6.1-sol", "t", metadata)


def test_codex_without_a_message_refused_and_with_exit_code_zero() -> None:
    ears = codex()
    tell(ears, {"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 1}})
    assert (ears.answer(0).stop, ears.answer(0).usage.counted) == ("refused", 6)


def test_a_tool_of_its_own_ends_codex() -> None:
    ears = codex()
    assert tell(ears, {"type": "item.started", "item": {"type": "command_execution", "command": "ls"}}) == [True]
    assert "command_execution" in failure(ears).message


LOG = "2026-11-20T11:42:49.898399Z  INFO"
COMPLETED = (
    f'{LOG} codex_otel.log_only: event.name="codex.sse_event" event.kind=response.completed input_token_count=72 '
    "output_token_count=9 cached_token_count=8 cache_write_token_count=0 reasoning_token_count=4 tool_token_count=1"
)
REQUEST = f'{LOG} codex_otel.log_only: event.name="codex.api_request" duration_ms=20 attempt=0 endpoint="/responses"'
CALLED = f"{LOG} codex_core::stream_events_utils: ToolCall: shell thread_id=01a1"


def test_codex_is_ended_where_it_would_answer_a_call_nobody_offered() -> None:
    ears = codex()
    tell(ears, {"type": "item.completed", "item": {"type": "agent_message", "text": "hm"}})
    assert [ears.complained(line) for line in (REQUEST, CALLED, COMPLETED)] == [False, False, True]
    metadata = {"calls_not_offered": ["shell"]}
    assert ears.answer(None) == Answer("hm", "done", Usage(72, 8, 0, 9, 4), "gpt-6.1-sol", "", metadata)
    ears.complained(REQUEST)
    assert ears.answer(None).usage == Usage(72 + 81, 8, 0, 9, 4, source="estimated")


def test_a_reply_of_codex_without_calls_is_let_end_by_itself() -> None:
    ears = codex()
    forged = f"arguments={CALLED}"
    assert not any(ears.complained(line) for line in (REQUEST, forged, COMPLETED))


def test_a_reply_codex_cut_is_charged_by_estimate() -> None:
    ears = codex()
    tell(ears, {"type": "turn.failed", "error": {"message": "Incomplete response returned, reason: max_output_tokens"}})
    assert (ears.answer(1).stop, ears.answer(1).usage) == ("truncated", Usage(1000, output=4000, source="estimated"))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("You’ve hit your usage limit. Upgrade to Pro or try again at 2:30 PM.", ("rate_limit", False, 9060.0)),
        ("exceeded retry limit, last status: 429 Too Many Requests", ("rate_limit", False, None)),
        ("Selected model is at capacity. Please try a different model.", ("overloaded", False, None)),
        ("unexpected status 503 Service Unavailable: over", ("overloaded", False, None)),
        ("We’re currently experiencing high demand, which may cause temporary errors.", ("server", True, None)),
        ("Codex ran out of room in the model's context window.", ("too_large", False, None)),
        ("Your access token could not be refreshed. Please log in again.", ("auth", False, None)),
        ("stream disconnected before completion: error sending request", ("network", True, None)),
        ("stream disconnected before completion: stream closed before response.completed", ("network", True, None)),
        ('{"error": {"message": "bad parameter"}}', ("bad_request", False, None)),
        ("something new", ("protocol", True, None)),
    ],
)
def test_codexs_sentences(message: str, expected: tuple[str, bool, float | None]) -> None:
    ears = codex()
    tell(ears, {"type": "error", "message": message}, {"type": "turn.failed", "error": {"message": message}})
    error = failure(ears)
    assert (error.kind, error.generated, error.retry_after) == expected


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("try again at 12:00 PM.", 60),
        ("try again at 11:00 AM.", 23 * 3600 + 60),
        ("try again at 1:11 PM.", 71 * 60 + 60),
        ("try again at Nov 23rd, 2026 12:00 PM.", 3 * 86_400 + 60),
        ("try again at Nov 31st, 2026 12:00 PM.", None),
        ("try again in 3 days 4 hours 5 minutes.", 3 * 86_400 + 4 * 3600 + 300),
        ("try again later.", None),
    ],
)
def test_when_a_plans_window_begins_anew(said: str, seconds: float | None) -> None:
    assert seconds_until(f"You’ve hit your usage limit. Please {said}", NOON) == seconds


def gemini(**models: tuple[int, int, int, int]) -> dict[str, Any]:
    names = ("total_tokens", "input_tokens", "output_tokens", "cached")
    stats = {name.replace("_", "-"): dict(zip(names, counts, strict=True)) for name, counts in models.items()}
    return {"type": "result", "status": "success", "stats": {"models": stats}}


def listening(*lines: object, limit: int = 4000) -> GeminiEars:
    ears = GeminiEars("gemini-flash", limit)
    text = [{"type": "message", "role": "assistant", "content": part, "delta": True} for part in ("h", "i")]
    tell(ears, {"type": "init", "session_id": "s"}, {"type": "message", "role": "user", "content": "x"}, *text, *lines)
    return ears


def test_geminis_thoughts_are_what_its_sum_does_not_name() -> None:
    answer = listening(gemini(gemini_flash=(540, 500, 30, 100))).answer(0)
    assert answer == Answer("hi", "done", Usage(500, 100, 0, 40, 10), "gemini-flash", "s")


def test_a_reply_as_long_as_its_limit_was_cut() -> None:
    assert listening(gemini(gemini_flash=(540, 500, 30, 100)), limit=40).answer(0).stop == "truncated"


def test_another_model_in_geminis_sum_is_charged_and_named() -> None:
    answer = listening(gemini(gemini_flash=(540, 500, 40, 0), gemini_lite=(110, 100, 10, 0))).answer(0)
    assert (answer.metadata, answer.usage) == ({"other_models": ["gemini-lite"]}, Usage(600, 0, 0, 50))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("The model response was blocked due to safety settings.", "refused"),
        ("The model returned an empty response with no text or thoughts.", "done"),
        ("Model stream ended without a finish reason.", "protocol"),
    ],
)
def test_geminis_content_problems_though_it_exits_with_zero(message: str, expected: str) -> None:
    said = {"type": "error", "severity": "error", "message": message}
    ears = listening(said, {**gemini(gemini_flash=(540, 500, 40, 0)), "status": "error"})
    if expected == "protocol":
        assert (failure(ears, 0).kind, failure(ears, 0).input_reported) == ("protocol", (500, 0))
    else:
        assert (ears.answer(0).stop, ears.answer(0).usage.input) == (expected, 500)


@pytest.mark.parametrize(
    ("message", "code", "expected"),
    [
        ('[API Error: {"error": {"code": 401, "message": "bad"}}]', 145, ("auth", False, None)),
        ('[API Error: {"error": {"code": 500, "message": "boom"}}]', 244, ("server", True, None)),
        (
            "[API Error: You have exhausted your capacity. It will reset after 2h0m5s.]",
            173,
            ("rate_limit", False, 7205),
        ),
        ("[API Error: fetch failed]", 1, ("network", True, None)),
        ("something new", 1, ("protocol", True, None)),
    ],
)
def test_geminis_api_errors(message: str, code: int, expected: tuple[str, bool, float | None]) -> None:
    ears = listening({"type": "result", "status": "error", "error": {"type": "unknown", "message": message}})
    error = failure(ears, code)
    assert (error.kind, error.generated, error.retry_after) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Attempt 1 failed with status 503. Retrying with backoff... Error"], ("overloaded", False, None)),
        (["Attempt 1 failed: slow", "Suggested retry after 7s.. Retrying after 7648ms..."], ("rate_limit", False, 7)),
        (["Attempt 1 failed. Retrying with backoff... fetch failed"], ("network", True, None)),
    ],
)
def test_gemini_is_ended_before_it_tries_again(lines: list[str], expected: tuple[str, bool, float | None]) -> None:
    ears = listening()
    assert [ears.complained(line) for line in ["Ripgrep is not available.", *lines]][-1] is True
    error = failure(ears, None)
    assert (error.kind, error.generated, error.retry_after) == expected


def test_gemini_without_a_word() -> None:
    assert failure(listening(), 41).kind == "auth"
    assert failure(listening(), 0).kind == "protocol"
    assert failure(listening(), 247).kind == "overloaded"
