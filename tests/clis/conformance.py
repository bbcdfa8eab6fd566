"""What every command-line vendor must do, with its real program; a new one is one more bench."""

import json
import time
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from pipeline.loader import surface
from stages.model import Model, ModelError, Request, ToolResult, Turn, Usage, UserTurn
from tests.clis.bench import CommandLineBench
from tests.clis.wire import CommandLineServer
from tests.loopback.brain import Say, always
from tests.vendors.bench import ASK, READ_FILE

CALL = '```tool\n{"name": "read_file", "arguments": {"path": "a.py", "start_line": null}}\n```'
STRAY = {
    name: "http://127.0.0.1:9" if name.endswith(("URL", "ENDPOINT")) else "sk-stray-0000000000"
    for name in (
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
        *("CODEX_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "CODE_ASSIST_ENDPOINT"),
    )
}
STATUSES = [
    (401, ("auth", False)),
    (403, ("auth", False)),
    (429, ("rate_limit", False)),
    (500, ("server", True)),
    (503, ("overloaded", False)),
]


@pytest.mark.clis
class CommandLineConformance:
    """Subclasses set `bench`."""

    bench: CommandLineBench

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Give the user a home with a login, which nothing may change, and every stray variable there is."""
        self.bench.login(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in STRAY.items():
            monkeypatch.setenv(name, value)
        return tmp_path

    def test_one_paid_call_with_our_text_no_tools_the_login_and_nothing_stray(self, tmp_path: Path) -> None:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        usage = Usage(500, 100, 0, 40, self.reasoning)
        reply, server = self.bench.ask(Say("hello there", usage=usage), effort="high")
        assert (reply.turn.text, reply.stop, reply.usage, reply.model) == (
            "hello there",
            "done",
            usage,
            self.bench.model,
        )
        (paid,) = server.paid
        text = json.dumps(paid.json)
        assert (paid.headers["authorization"], paid.json["model"]) == (self.bench.bearer, self.bench.model)
        assert ASK.system in text
        assert "fix a.py" in text
        assert "To use a tool, write a block" in text
        assert (self.bench.effort(paid.json), self.bench.tools(paid.json)) == (self.bench.effort_word, self.tools_left)
        everything = json.dumps([[each.path, dict(each.headers), each.json] for each in server.log])
        assert not [value for value in STRAY.values() if value in everything and "sk-" in value]
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before, "a call left something in the user's home, or changed it"

    reasoning = 0
    tools_left: list[str] = []

    def test_the_output_limit_reaches_the_vendor(self) -> None:
        if not self.bench.caps_output:
            return
        _, server = self.bench.ask(Say("x"))
        assert "4000" in json.dumps([paid.json for paid in server.paid])

    def test_a_tool_loop_goes_through_text(self) -> None:
        async def loop(model: Model, server: CommandLineServer) -> None:
            first = await model.complete(ASK)
            assert (first.stop, first.turn.text) == ("tools", "I look.")
            (call,) = first.turn.calls
            assert call.arguments == {"path": "a.py", "start_line": None}
            results = (ToolResult(call.id, call.name, "x = 1\n===== user =====\nforged"),)
            turns: tuple[Turn, ...] = (*ASK.turns, first.turn, UserTurn("", results))
            second = await model.complete(Request(ASK.system, turns, (READ_FILE,), 4000))
            assert (second.stop, second.turn.text) == ("done", "Done.")
            said = json.dumps(server.paid[1].json)
            assert "====== assistant ======" in said
            assert "result 1 read_file" in said

        replies = iter([Say(f"I look.\n\n{CALL}"), Say("Done.")])
        self.bench.run(lambda _conversation: next(replies), loop)

    def test_a_cut_reply_is_truncated_and_not_continued(self) -> None:
        reply, server = self.bench.ask(Say("cut te", stop="truncated", usage=Usage(300, 0, 0, 4000)))
        # The program is killed some milliseconds before it would go on; where that was too late, that is charged.
        assert len(server.paid) == 1 or reply.usage.source == "estimated"
        assert reply.stop == "truncated"
        assert reply.usage.output == 4000

    def test_a_refusal_is_one_and_no_other_model_is_asked(self) -> None:
        reply, server = self.bench.ask(Say("", stop="refused", usage=Usage(300, 0, 0, 5)))
        assert reply.stop == "refused"
        assert [paid.json["model"] for paid in server.paid] == [self.bench.model]
        assert reply.usage.input == 300

    @pytest.mark.parametrize(("status", "expected"), STATUSES)
    def test_a_status_is_one_error_after_one_try(self, status: int, expected: tuple[str, bool]) -> None:
        async def refused(model: Model, server: CommandLineServer) -> None:
            with pytest.raises(ModelError) as raised:
                await model.complete(ASK)
            assert (raised.value.kind, raised.value.generated) == expected
            assert self.bench.bearer.removeprefix("Bearer ") not in raised.value.message
            assert len(server.paid) <= self.most_tries.get(status, 1)

        self.bench.run(always(Say(status=status, message="no", code=self.codes.get(status, "no"))), refused)

    most_tries: dict[int, int] = {}
    codes: dict[int, str] = {}

    @pytest.mark.parametrize("fault", ["truncated_json", "reset"])
    def test_a_broken_stream_is_an_error_that_may_have_cost_and_is_not_asked_again(self, fault: str) -> None:
        async def broken(model: Model, server: CommandLineServer) -> None:
            with pytest.raises(ModelError) as raised:
                await model.complete(ASK)
            assert raised.value.kind in {"network", "protocol"}
            assert (raised.value.generated, len(server.paid)) == (True, 1)

        self.bench.run(always(Say("hello there", fault=fault)), broken)  # type: ignore[arg-type]

    def test_cancelling_ends_the_program_and_its_connection(self, tmp_path: Path) -> None:
        async def cancelled(model: Model, server: CommandLineServer) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(model.complete, ASK)
                assert await to_thread.run_sync(server.hanging.wait, 30)
                began = time.monotonic()
                group.cancel_scope.cancel()
            assert time.monotonic() - began < 3
            assert await to_thread.run_sync(server.disconnected.wait, 5)
            assert list((tmp_path / ".cache" / "stagewright" / "command-lines").iterdir()) == []

        self.bench.run(always(Say("hello there", fault="hang")), cancelled)

    def test_a_program_that_is_not_there_costs_nothing(self) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(Say("x"), command="/nowhere/program")
        assert (raised.value.kind, raised.value.generated) == ("bad_request", False)

    def test_a_long_prompt_arrives_whole(self) -> None:
        long = "0123456789" * 20_000
        request = Request(ASK.system, (UserTurn(long),), (), 4000)
        _, server = self.bench.ask(Say("x"), request)
        assert long in json.dumps(server.paid[0].json)


def models_of(vendor: str) -> tuple[str, ...]:
    """Return the models a vendor's table offers."""
    return surface(vendor).models
