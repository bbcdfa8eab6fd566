"""The real programs of the three subscription vendors pass one suite; what only one of them does stands below it."""

import json
import time
from pathlib import Path

import pytest

from stages.model import Model, ModelError, Usage
from tests.clis.anthropic_stream import messages
from tests.clis.bench import CommandLineBench, jwt
from tests.clis.code_assist_stream import code_assist
from tests.clis.conformance import CommandLineConformance, models_of
from tests.clis.responses_stream import responses
from tests.clis.wire import CommandLineServer
from tests.loopback.brain import Conversation, Say, always
from tests.vendors.bench import ASK

TOKEN = jwt()


def codex_login(home: Path) -> None:
    tokens = {"id_token": TOKEN, "access_token": TOKEN, "refresh_token": "one-use", "account_id": "loopback"}
    (home / ".codex").mkdir()
    (home / ".codex" / "auth.json").write_text(json.dumps({"tokens": tokens}), encoding="utf-8")


class TestClaudeCode(CommandLineConformance):
    bench = CommandLineBench(
        vendor="claude-code",
        program="claude",
        protocol=messages,
        model="claude-opus-5-5",
        key="sk-ant-oat01-loopback",
        path="",
        effort=lambda body: body["output_config"]["effort"],
        effort_word="high",
        tools=lambda body: body["tools"],
        bearer="Bearer sk-ant-oat01-loopback",
    )

    def test_a_used_up_window_names_when_it_begins_anew(self) -> None:
        headers = {
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(int(time.time()) + 7200),
            "anthropic-ratelimit-unified-representative-claim": "five_hour",
        }
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say(status=429, code="rate_limit_error", message="limit", headers=headers))
        assert raised.value.kind == "rate_limit"
        assert raised.value.retry_after == pytest.approx(7200, abs=60)
        assert "5-hour limit" in raised.value.message

    def test_a_prompt_beyond_the_window_is_too_large(self) -> None:
        message = "prompt is too long: 210000 tokens > 200000 maximum"
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say(status=400, code="invalid_request_error", message=message))
        assert (raised.value.kind, raised.value.generated) == ("too_large", False)

    def test_an_empty_reply_is_not_asked_about(self) -> None:
        reply, server = self.bench.ask(Say("", usage=Usage(300, 0, 0, 1)))
        assert (reply.turn.text, reply.stop) == ("", "done")
        assert len(server.paid) == 1 or reply.usage.source == "estimated"

    def test_the_users_own_login_is_used_without_its_file(self, tmp_path: Path) -> None:
        oauth = {"accessToken": "sk-ant-oat01-file", "refreshToken": "one-use", "expiresAt": (time.time() + 600) * 1000}
        (tmp_path / ".claude").mkdir()
        (tmp_path / ".claude" / ".credentials.json").write_text(json.dumps({"claudeAiOauth": oauth}))
        _, server = self.bench.ask(Say("x"), api_key=None)
        assert server.paid[0].headers["authorization"] == "Bearer sk-ant-oat01-file"

    def test_without_a_login_nothing_is_started(self) -> None:
        with pytest.raises(ModelError, match="claude setup-token") as raised:
            self.bench.ask(Say("x"), api_key=None)
        assert (raised.value.kind, raised.value.generated) == ("auth", False)


class TestCodex(CommandLineConformance):
    bench = CommandLineBench(
        vendor="codex",
        program="codex",
        protocol=responses,
        model="gpt-6.1-sol",
        key=None,
        path="/v1",
        effort=lambda body: body["reasoning"]["effort"],
        effort_word="high",
        tools=lambda body: [tool["name"] for tool in body["tools"]],
        bearer=f"Bearer {TOKEN}",
        login=codex_login,
        caps_output=False,
    )
    reasoning = 10
    tools_left = ["request_user_input"]  # no switch takes it away
    most_tries = {401: 2}  # it asks once more after it looked for a fresher token; nothing was generated
    codes = {429: "rate_limit_exceeded"}

    @pytest.mark.parametrize("seconds", [7200, 3 * 86_400])
    def test_a_used_up_window_names_when_it_begins_anew(self, seconds: int) -> None:
        details = {"plan_type": "plus", "resets_at": int(time.time()) + seconds, "resets_in_seconds": seconds}
        say = Say(status=429, code="usage_limit_reached", message="The usage limit has been reached", details=details)
        with pytest.raises(ModelError) as raised:
            self.bench.ask(say)
        assert raised.value.kind == "rate_limit"
        assert raised.value.retry_after == pytest.approx(seconds, abs=125)

    def test_a_prompt_beyond_the_window_is_too_large(self) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say(status=400, code="context_length_exceeded", message="too long"))
        assert (raised.value.kind, raised.value.generated) == ("too_large", False)

    def test_a_refused_parameter_is_a_bad_request(self) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say(status=400, code="invalid_value", message="bad parameter"))
        assert (raised.value.kind, raised.value.generated) == ("bad_request", False)

    @pytest.mark.parametrize("name", ["request_user_input", "shell", "spawn_agent"])
    def test_a_call_of_what_nobody_offered_is_not_answered_by_the_program(self, name: str) -> None:
        reply, server = self.bench.ask(Say("hm", calls=[(name, {"questions": []})], usage=Usage(300, 0, 0, 5)))
        assert (reply.stop, reply.metadata) == ("done", {"calls_not_offered": [name]})
        assert reply.turn.text in {"hm", ""}, "it may be ended before it has printed its text"
        # It is killed some milliseconds before it would ask again; where that was too late, the second is charged.
        assert len(server.paid) == 1 or reply.usage.source == "estimated"
        assert reply.usage.output == 5

    def test_only_our_two_texts_are_sent(self) -> None:
        _, server = self.bench.ask(Say("x"))
        roles = [(item["type"], item.get("role")) for item in server.paid[0].json["input"]]
        assert roles == [("message", "developer"), ("message", "user")]


class TestGeminiCli(CommandLineConformance):
    bench = CommandLineBench(
        vendor="gemini-cli",
        program="gemini",
        protocol=code_assist,
        model="gemini-3.8-flash",
        key="ya29.loopback",
        path="",
        effort=lambda body: body["request"]["generationConfig"]["thinkingConfig"]["thinkingLevel"],
        effort_word="HIGH",
        tools=lambda body: [each for tool in body["request"]["tools"] for each in tool["functionDeclarations"]],
        bearer="Bearer ya29.loopback",
    )
    reasoning = 10
    codes = {429: "RESOURCE_EXHAUSTED"}

    def test_a_used_up_quota_names_when_it_is_there_again(self) -> None:
        message = "You have exhausted your capacity on this model. Your quota will reset after 2h0m5s."
        reason = {"reason": "QUOTA_EXHAUSTED", "domain": "cloudcode-pa.googleapis.com"}
        details = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", **reason}
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say(status=429, code="RESOURCE_EXHAUSTED", message=message, details=details))
        assert (raised.value.kind, raised.value.retry_after) == ("rate_limit", 7205)

    def test_a_wait_it_would_take_itself_is_taken_from_it(self) -> None:
        details = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "40s"}

        async def told(model: Model, server: CommandLineServer) -> None:
            with pytest.raises(ModelError) as raised:
                await model.complete(ASK)
            assert (raised.value.kind, raised.value.retry_after) == ("rate_limit", 40)
            assert len(server.paid) == 1

        self.bench.run(always(Say(status=429, code="RESOURCE_EXHAUSTED", message="slow", details=details)), told)

    def test_a_prompt_beyond_the_window_is_too_large(self) -> None:
        message = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say(status=400, code="INVALID_ARGUMENT", message=message))
        assert (raised.value.kind, raised.value.generated) == ("too_large", False)

    @pytest.mark.parametrize("model", models_of("gemini-cli"))
    def test_every_model_of_the_table_is_the_one_that_is_asked(self, model: str) -> None:
        asked: list[str] = []

        def brain(conversation: Conversation) -> Say:
            asked.append(conversation.model)
            return Say("x")

        async def once(bound: Model, _server: CommandLineServer) -> None:
            await bound.complete(ASK)

        self.bench.run(brain, once, model=model)
        assert asked == [model]
