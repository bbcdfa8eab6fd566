"""What only one vendor does: the answers and refusals that its module must know by their words."""

import json
from typing import Any

import pytest

from pipeline.vendors._wire import retry_after
from pipeline.vendors.anthropic.request import strict
from stages.model import Effort, Model, ModelError, Reply
from tests.loopback import LoopbackServer, Say, always
from tests.vendors.bench import ASK, BENCHES, CHAT, Bench

ANTHROPIC, OPENAI, GOOGLE = BENCHES
QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}


def refused(bench: Bench, say: Say) -> ModelError:
    with pytest.raises(ModelError) as raised:
        bench.ask(always(say))
    return raised.value


def body_sent(bench: Bench, **changes: Any) -> dict[str, Any]:
    async def asked(model: Model, server: LoopbackServer) -> dict[str, Any]:
        await model.complete(ASK)
        sent: dict[str, Any] = server.log[-1].json
        return sent

    return bench.run(always(Say("x")), asked, **changes)


@pytest.mark.parametrize(
    ("bench", "say", "kind"),
    [
        (ANTHROPIC, Say(status=400, message="prompt is too long: 1200000 tokens > 1000000 maximum"), "too_large"),
        (ANTHROPIC, Say(status=400, message="You have reached your specified API usage limits."), "billing"),
        (ANTHROPIC, Say(status=400, message="Your credit balance is too low"), "billing"),
        (ANTHROPIC, Say(status=429, details={"error_code": "enforced_spend_limit_reached"}), "billing"),
        (ANTHROPIC, Say(status=500, code="overloaded_error"), "overloaded"),
        (OPENAI, Say(status=429, code="insufficient_quota"), "billing"),
        (OPENAI, Say(status=400, code="context_length_exceeded"), "too_large"),
        (OPENAI, Say(status=429, code="rate_limit_exceeded", message="Request too large for gpt-6.1-sol"), "too_large"),
        (GOOGLE, Say(status=400, message="The input token count (2000000) exceeds the maximum"), "too_large"),
        (
            GOOGLE,
            Say(status=429, details={"details": [QUOTA | {"violations": [{"quotaId": "RequestsPerDay"}]}]}),
            "billing",
        ),
        (
            GOOGLE,
            Say(status=429, details={"details": [QUOTA | {"violations": [{"quotaId": "PerMinute"}]}]}),
            "rate_limit",
        ),
    ],
)
def test_a_refusal_is_known_by_its_words(bench: Bench, say: Say, kind: str) -> None:
    error = refused(bench, say)
    assert (error.kind, error.generated) == (kind, say.status == 500)


@pytest.mark.parametrize("bench", [OPENAI, CHAT], ids=["openai", "compatible"])
@pytest.mark.parametrize("code", ["content_filter", "invalid_prompt", "content_policy_violation"])
def test_a_prompt_against_the_vendors_rules_is_a_refusal_and_no_defect_of_the_request(bench: Bench, code: str) -> None:
    error = refused(bench, Say(status=400, code=code, message="The response was filtered: change your tools."))
    assert (error.kind, error.refusal, error.generated) == ("bad_request", True, False)
    assert not refused(bench, Say(status=400, code="invalid_value")).refusal


def test_google_names_its_time_in_the_body() -> None:
    assert refused(GOOGLE, Say(status=429, details={"details": [RETRY]})).retry_after == 37.5


def test_a_date_counts_from_the_servers_own_clock() -> None:
    headers = {"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}
    assert retry_after(headers) == 60
    assert retry_after(headers | {"date": "Fri, 20 Nov 2026 11:00:00 GMT"}) == 0
    assert retry_after(headers | {"retry-after": "Fri, 20 Nov 2026 10:01:00 +99999999999999999999"}) is None


@pytest.mark.parametrize("stop", ["pause_turn", "something_new"])
def test_an_anthropic_stop_nobody_knows_is_a_protocol_error(stop: str) -> None:
    error = refused(ANTHROPIC, Say("x", stop=stop))
    assert error.kind == "protocol"
    assert stop in error.message


def test_an_anthropic_context_that_overflows_while_answering_is_truncated() -> None:
    assert ANTHROPIC.ask(always(Say("x", stop="model_context_window_exceeded"))).stop == "truncated"


def test_anthropic_gets_its_cache_markers() -> None:
    body = body_sent(ANTHROPIC)
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "output_config"),
    [
        ("claude-opus-5-5", None, {"type": "adaptive"}, None),
        ("claude-sonnet-5-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5-5", "max", {"type": "adaptive"}, {"effort": "max"}),
        ("claude-haiku-4-5-20251001", None, None, None),
        ("claude-of-tomorrow", "low", {"type": "adaptive"}, {"effort": "low"}),
    ],
)
def test_anthropic_thinks_as_the_model_can(
    model: str, effort: Effort | None, thinking: object, output_config: object
) -> None:
    body = body_sent(ANTHROPIC, model=model, effort=effort)
    assert (body.get("thinking"), body.get("output_config")) == (thinking, output_config)
    assert "temperature" not in body


def test_strict_schemas_lose_only_the_keywords_that_anthropic_refuses() -> None:
    schema = {
        "type": "object",
        "title": "X",
        "properties": {"title": {"type": "string", "minLength": 1}, "pattern": {"enum": ["a"]}},
        "required": ["title", "pattern"],
        "additionalProperties": False,
    }
    assert strict(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "pattern": {"enum": ["a"]}},
        "required": ["title", "pattern"],
        "additionalProperties": False,
    }


def test_openai_stores_nothing_and_gets_reasoning_encrypted() -> None:
    body = body_sent(OPENAI)
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])
    assert body["prompt_cache_key"] == "run-1:coder"
    assert "temperature" not in body


def test_a_cache_key_of_any_length_becomes_one_that_openai_takes() -> None:
    first, again, other = (
        body_sent(OPENAI, cache_key=key)["prompt_cache_key"] for key in ("k" * 99, "k" * 99, "j" * 99)
    )
    assert first == again != other
    assert len(first) == 64


def test_an_openai_model_that_does_not_reason_takes_a_temperature() -> None:
    body = body_sent(OPENAI, model="gpt-4.1", temperature=0.2)
    assert body["temperature"] == 0.2
    assert "include" not in body
    assert "reasoning" not in body


def response(**changes: Any) -> Say:
    usage = {"input_tokens": 900, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 400}}
    return Say(body={"id": "r", "status": "completed", "output": [], "usage": usage, **changes})


@pytest.mark.parametrize(
    ("say", "kind"),
    [
        (response(status="failed", error={"code": "server_error", "message": "m"}), "server"),
        (response(status="failed", error={"code": "rate_limit_exceeded", "message": "m"}), "rate_limit"),
        (response(status="incomplete", incomplete_details={"reason": "else"}), "protocol"),
        (response(status="queued"), "protocol"),
        (response(usage=None), "protocol"),
        (response(usage={"input_tokens": -1}), "protocol"),
    ],
)
def test_an_openai_failure_inside_a_200_is_a_failure(say: Say, kind: str) -> None:
    error = refused(OPENAI, say)
    assert (error.kind, error.generated) == (kind, True)


def test_an_openai_failure_says_what_input_it_was_charged_for() -> None:
    error = refused(OPENAI, response(status="failed", error={"code": "server_error", "message": "m"}))
    assert error.input_reported == (900, 400)


@pytest.mark.parametrize(
    "say",
    [
        response(status="incomplete", incomplete_details={"reason": "content_filter"}),
        response(status="failed", error={"code": "bio_policy", "message": "no"}),
    ],
)
def test_an_openai_filter_is_a_refusal(say: Say) -> None:
    assert OPENAI.ask(always(say)).stop == "refused"


def gemini(**changes: Any) -> Say:
    usage = {"promptTokenCount": 90, "toolUsePromptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}
    return Say(body={"usageMetadata": usage, "modelVersion": "m", **changes})


def test_gemini_counts_thoughts_and_tool_use() -> None:
    candidate = {"finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "a"}]}}
    reply: Reply = GOOGLE.ask(always(gemini(candidates=[candidate])))
    assert (reply.usage.input, reply.usage.output, reply.usage.reasoning) == (100, 12, 7)


def test_gemini_thoughts_are_not_text() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": "yes"}]
    candidate = {"finishReason": "STOP", "content": {"role": "model", "parts": parts}}
    assert GOOGLE.ask(always(gemini(candidates=[candidate]))).turn.text == "yes"


def test_a_gemini_call_without_an_id_gets_one() -> None:
    parts = [{"functionCall": {"name": "read_file", "args": {}}, "thoughtSignature": "c2ln"}]
    candidate = {"finishReason": "STOP", "content": {"role": "model", "parts": parts}}
    reply = GOOGLE.ask(always(gemini(candidates=[candidate])))
    assert (reply.stop, reply.turn.calls[0].id) == ("tools", "call-1-1")


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"])
def test_gemini_filters_are_refusals(reason: str) -> None:
    reply = GOOGLE.ask(always(gemini(candidates=[{"finishReason": reason}])))
    assert (reply.stop, reply.metadata) == ("refused", {"refusal": reason})


def test_a_blocked_gemini_prompt_is_a_refusal() -> None:
    reply = GOOGLE.ask(always(gemini(promptFeedback={"blockReason": "PROHIBITED_CONTENT"})))
    assert (reply.stop, reply.metadata) == ("refused", {"refusal": "PROHIBITED_CONTENT"})


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", None])
def test_a_malformed_gemini_reply_is_a_protocol_error_with_its_input(reason: str | None) -> None:
    error = refused(GOOGLE, gemini(candidates=[{"finishReason": reason} if reason else {"index": 0}]))
    assert (error.kind, error.input_reported) == ("protocol", (100, 0))


def test_a_gemini_continuation_is_truncated_and_not_asked_for_behind_our_back() -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        assert (await model.complete(ASK)).stop == "truncated"
        assert len(server.log) == 1

    candidate = {"finishReason": "CONTINUATION", "content": {"role": "model", "parts": [{"text": "half"}]}}
    GOOGLE.run(always(gemini(candidates=[candidate], continuationToken="t")), asked)


def test_gemini_takes_a_temperature() -> None:
    assert json.dumps(body_sent(GOOGLE, temperature=0.2)["generationConfig"]["temperature"]) == "0.2"
