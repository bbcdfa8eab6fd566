"""What every vendor must do: one suite for the seam `Model`, run through the real SDKs; a new vendor is one bench."""

import json
import time

import anyio
import pytest
from anyio import to_thread

from pipeline.loader import surface
from stages.model import Model, ModelError, ModelTurn, Request, ToolCall, ToolResult, Usage, UserTurn
from tests.loopback import LoopbackServer, Say, always, by_turn
from tests.loopback.brain import Fault
from tests.loopback.tokens import STEP
from tests.vendors.bench import ASK, Bench, converse

LOOP = by_turn(
    Say("I look first.", calls=[("read_file", {"path": "a.py"}), ("read_file", {"path": "b.py"})]),
    Say(calls=[("read_file", {"path": "a.py"})]),
    Say("Done."),
)
STATUSES = [
    (400, ("bad_request", False)),
    (401, ("auth", False)),
    (402, ("billing", False)),
    (403, ("auth", False)),
    (404, ("bad_request", False)),
    (408, ("timeout", False)),
    (409, ("bad_request", False)),
    (413, ("too_large", False)),
    (422, ("bad_request", False)),
    (429, ("rate_limit", False)),
    (500, ("server", True)),
    (502, ("server", True)),
    (503, ("overloaded", False)),
    (504, ("server", True)),
    (529, ("overloaded", False)),
]


class Conformance:
    """Subclasses set `bench`."""

    bench: Bench

    def test_a_text_reply(self) -> None:
        reply = self.bench.ask(always(Say("hello")))
        assert (reply.turn.text, reply.turn.calls, reply.stop) == ("hello", (), "done")
        assert reply.model == self.bench.model
        assert reply.id

    def test_a_tool_loop_of_several_turns_gives_the_reasoning_back_untouched(self) -> None:
        async def loop(model: Model, server: LoopbackServer) -> None:
            replies = await converse(model)
            assert [reply.stop for reply in replies] == ["tools", "tools", "done"]
            assert self.bench.refusals(server) == []

        self.bench.run(LOOP, loop, effort="high")

    def test_a_turn_survives_being_stored_as_json(self) -> None:
        async def stored(model: Model, server: LoopbackServer) -> None:
            turn = (await model.complete(ASK)).turn
            again = ModelTurn(turn.text, turn.calls, json.loads(json.dumps(turn.native)))
            results = tuple(ToolResult(call.id, call.name, "x") for call in turn.calls)
            await model.complete(Request(ASK.system, (*ASK.turns, again, UserTurn("", results)), ASK.tools, 1000))
            assert self.bench.refusals(server) == []

        self.bench.run(LOOP, stored, effort="high")

    def test_the_server_notices_reasoning_that_is_lost(self) -> None:
        """Without this the two tests above would prove nothing."""

        if self.bench.tools_in_text:
            pytest.skip("without tools there is no reasoning to hand back")

        async def lost(model: Model, _server: LoopbackServer) -> None:
            turn = (await model.complete(ASK)).turn
            native = json.loads(json.dumps(turn.native))
            content = native["content"]
            if self.bench.reasoning_in:
                content[self.bench.reasoning_in].pop("reasoning_content")
            elif isinstance(content, dict):
                for part in content["parts"]:
                    part.pop("thought_signature", None)
            else:
                native["content"] = [each for each in content if each["type"] not in {"thinking", "reasoning"}]
            results = tuple(ToolResult(call.id, call.name, "x") for call in turn.calls)
            changed = ModelTurn(turn.text, turn.calls, native)
            with pytest.raises(ModelError) as raised:
                await model.complete(Request(ASK.system, (*ASK.turns, changed, UserTurn("", results)), ASK.tools, 1000))
            assert raised.value.kind == "bad_request"

        self.bench.run(LOOP, lost, effort="high")

    def test_parallel_calls_keep_their_order_and_their_results(self) -> None:
        results: list[list[tuple[str, bool]]] = []

        def brain(conversation):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - a closure over the list
            results.append([(each.content, each.is_error) for each in conversation.tool_results])
            return LOOP(conversation)

        async def loop(model: Model, _server: LoopbackServer) -> None:
            first = (await converse(model))[0]
            assert [call.arguments for call in first.turn.calls] == [{"path": "a.py"}, {"path": "b.py"}]
            assert len({call.id for call in first.turn.calls}) == 2

        self.bench.run(brain, loop)
        assert [content for content, _ in results[1]] == ["{'PATH': 'A.PY'}", "{'PATH': 'B.PY'}"]

    def test_a_turn_of_another_vendor_or_model_is_rebuilt_without_its_reasoning(self) -> None:
        async def foreign(model: Model, server: LoopbackServer) -> None:
            native = {"vendor": "elsewhere", "model": self.bench.model, "content": [{"secret": "reasoning"}]}
            call = ToolCall("call:1/weird", "read_file", {"path": "a.py", "start_line": None})
            turns = (
                *ASK.turns,
                ModelTurn("I look.", (call,), native),
                UserTurn("", (ToolResult(call.id, call.name, "x = 1"),)),
                ModelTurn("", (), {"vendor": self.bench.vendor, "model": "another", "content": [{"secret": 1}]}),
                UserTurn("use a tool"),
            )
            reply = await model.complete(Request(ASK.system, turns, ASK.tools, 1000))
            assert reply.turn.text == "fine"
            assert "secret" not in json.dumps(server.log[-1].json)
            assert "I look." in json.dumps(server.log[-1].json)

        self.bench.run(always(Say("fine")), foreign)

    def test_a_text_reminder_after_an_empty_reply_is_taken(self) -> None:
        async def reminded(model: Model, server: LoopbackServer) -> None:
            empty = (await model.complete(ASK)).turn
            assert (empty.text, empty.calls) == ("", ())
            turns = (*ASK.turns, empty, UserTurn("call a tool"))
            assert (await model.complete(Request(ASK.system, turns, ASK.tools, 1000))).turn.text == "sorry"
            assert self.bench.refusals(server) == []

        self.bench.run(by_turn(Say(reasoning=False), Say("sorry")), reminded)

    def test_a_reply_cut_at_the_limit_is_truncated(self) -> None:
        assert self.bench.ask(always(Say("half of", stop="truncated"))).stop == "truncated"

    def test_a_refusal_says_why(self) -> None:
        reply = self.bench.ask(always(Say("no", stop="refused")))
        assert reply.stop == "refused"
        assert reply.metadata

    def test_arguments_that_are_no_json_object_arrive_raw_and_can_be_answered(self) -> None:
        if not self.bench.raw_arguments:
            pytest.skip("this protocol carries arguments as JSON")

        async def broken(model: Model, server: LoopbackServer) -> None:
            replies = await converse(model)
            assert [(call.arguments, call.raw) for call in replies[0].turn.calls] == [
                (None, '{"path": '),
                (None, "[1]"),
            ]
            assert replies[1].turn.text == "ok"
            assert self.bench.refusals(server) == []

        says = Say(calls=[("read_file", '{"path": '), ("read_file", "[1]")]), Say("ok")
        self.bench.run(by_turn(*says), broken)

    def test_usage_means_the_same_for_every_vendor(self) -> None:
        writes = 200 if self.bench.writes_cache else 0
        said = Usage(input=3210, cache_read=3000, cache_write=writes, output=120, reasoning=40)
        reply = self.bench.ask(always(Say("hi", usage=said)))
        assert reply.usage == said
        assert reply.usage.counted == 3210 - 3000 + 120

    def test_the_next_turn_of_a_loop_reads_the_one_before_from_the_cache(self) -> None:
        async def loop(model: Model, _server: LoopbackServer) -> None:
            first, second, third = (reply.usage for reply in await converse(model, lambda said: said * 300))
            assert (first.cache_read, second.cache_read) == (0, 0), "the first prompt is too short for any cache"
            assert second.input > 2_000
            assert second.input - STEP - 8 < third.cache_read <= second.input  # counted in blocks, cached in steps

        self.bench.run(LOOP, loop, effort="high")

    @pytest.mark.parametrize(("status", "expected"), STATUSES)
    def test_every_status_has_a_kind_and_says_whether_it_can_have_cost(
        self, status: int, expected: tuple[str, bool]
    ) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say(status=status, message="what the vendor says")))
        error = raised.value
        assert (error.kind, error.generated) == expected
        assert error.status == status
        assert "what the vendor says" in error.message

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "37"}, 37.0),
            ({"retry-after-ms": "1500"}, 1.5),
            ({"retry-after": "soon"}, None),
            ({}, None),
        ],
    )
    def test_the_time_a_vendor_names_is_passed_on(self, headers: dict[str, str], seconds: float | None) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say(status=429, headers=headers)))
        assert raised.value.retry_after == seconds

    def test_one_call_is_one_request_whatever_goes_wrong(self) -> None:
        async def once(model: Model, server: LoopbackServer) -> None:
            for status in (429, 500, 503, 529, 408, 409):
                server.brain = always(Say(status=status, headers={"retry-after": "0", "x-should-retry": "true"}))
                with pytest.raises(ModelError):
                    await model.complete(ASK)
            assert len(server.log) - len(server.rejections) == 6

        self.bench.run(always(Say()), once)

    @pytest.mark.parametrize("fault", ["html", "empty", "foreign_json", "truncated_json"])
    def test_a_200_that_is_not_the_vendors_answer_is_a_protocol_error(self, fault: Fault) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say("text", fault=fault)))
        assert (raised.value.kind, raised.value.generated) == ("protocol", True)

    @pytest.mark.parametrize("body", [[], {"error": {"code": 502}}, {"content": 3, "output": 3, "candidates": 3}])
    def test_json_of_the_wrong_shape_is_a_protocol_error(self, body: object) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say(body=body)))
        failed = self.bench.errors_in_200 and isinstance(body, dict) and "error" in body
        assert raised.value.kind == ("server" if failed else "protocol")

    def test_a_reset_is_a_network_error_that_may_have_cost(self) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say("text", fault="reset")))
        assert (raised.value.kind, raised.value.generated) == ("network", True)

    def test_a_refused_connection_cost_nothing(self) -> None:
        async def refused(model: Model, server: LoopbackServer) -> None:
            server.close()
            with pytest.raises(ModelError) as raised:
                await model.complete(ASK)
            assert (raised.value.kind, raised.value.generated) == ("network", False)

        self.bench.run(always(Say()), refused)

    @pytest.mark.parametrize("fault", ["hang", "trickle", "stream_stall"])
    def test_cancelling_closes_the_connection_at_once(self, fault: Fault) -> None:
        async def cancelled(model: Model, server: LoopbackServer) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(model.complete, ASK)
                assert await to_thread.run_sync(server.hanging.wait, 5)
                began = time.monotonic()
                group.cancel_scope.cancel()
            assert time.monotonic() - began < 0.5
            assert await to_thread.run_sync(server.disconnected.wait, 5)
            server.brain = always(Say("still here"))
            assert (await model.complete(ASK)).turn.text == "still here"

        self.bench.run(always(Say("long " * 500, fault=fault)), cancelled)

    def test_the_effort_reaches_the_vendor_and_nothing_is_sent_where_none_is_set(self) -> None:
        async def asked(model: Model, server: LoopbackServer) -> str:
            await model.complete(ASK)
            return json.dumps(server.log[-1].json)

        body = json.loads(self.bench.run(always(Say("x")), asked, effort="high"))
        assert self.bench.effort_on_wire(body) == self.bench.effort_word
        with pytest.raises((KeyError, StopIteration)):
            self.bench.effort_on_wire(json.loads(self.bench.run(always(Say("x")), asked)))

    def test_tools_go_out_natively_with_a_closed_schema(self) -> None:
        if self.bench.tools_in_text:
            pytest.skip("the server takes no tools")

        async def asked(model: Model, server: LoopbackServer) -> None:
            await model.complete(ASK)
            tool = self.bench.tool_on_wire(server.log[-1].json)
            assert (tool["name"], tool["description"]) == ("read_file", "Read a file of the repository.")
            text = json.dumps(tool)
            assert '"additionalProperties": false' in text
            assert '"required": ["path", "start_line"]' in text

        self.bench.run(always(Say("x")), asked)

    def test_the_key_goes_into_one_header_and_nowhere_else(self) -> None:
        async def asked(model: Model, server: LoopbackServer) -> None:
            await model.complete(ASK)
            sent = server.log[-1]
            assert [item for item in sent.headers.items() if self.bench.key in item[1]] == [self.bench.key_header]
            assert self.bench.key not in json.dumps(sent.json) + sent.path

        self.bench.run(always(Say("x")), asked)

    def test_no_error_holds_the_key_or_leads_to_one_that_does(self) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say(status=403, message=f"the key {self.bench.key} may not")))
        error = raised.value
        assert self.bench.key not in error.message
        assert "[key]" in error.message
        assert (error.__cause__, error.__context__) == (None, None)

    def test_a_wrong_key_is_an_auth_error(self) -> None:
        with pytest.raises(ModelError) as raised:
            self.bench.ask(always(Say("x")), api_key="sk-wrong-0000")
        assert (raised.value.kind, raised.value.generated) == ("auth", False)

    def test_the_environment_changes_nothing_on_the_wire(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in HOSTILE_ENVIRONMENT.items():
            monkeypatch.setenv(name, value)

        async def asked(model: Model, server: LoopbackServer) -> None:
            await model.complete(ASK)
            headers = server.log[-1].headers
            assert not {"x-leak", "openai-organization", "openai-project"} & set(headers)
            assert headers[self.bench.key_header[0]] == self.bench.key_header[1]

        self.bench.run(always(Say("x")), asked)

    def test_counting_agrees_roughly_with_what_is_charged(self) -> None:
        if not self.bench.counts:
            pytest.skip("this protocol has no counting endpoint")

        async def counted(model: Model, _server: LoopbackServer) -> None:
            count = await model.count_tokens(ASK)
            charged = (await model.complete(ASK)).usage.input
            assert count is not None
            assert abs(count - charged) < 20

        self.bench.run(always(Say("x")), counted)

    def test_the_table_knows_the_benchs_models_and_lists_efforts_in_order(self) -> None:
        order = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
        for name in surface(self.bench.vendor).models:
            row = surface(self.bench.vendor).capabilities(name)
            assert row is not None
            assert list(row.efforts) == sorted(row.efforts, key=order.index)
            assert row.default_effort in row.efforts if row.efforts else row.default_effort is None
            assert (row.retired_on is None) == (row.replacement is None)
        assert bool(surface(self.bench.vendor).capabilities(self.bench.model)) == self.bench.table
        assert surface(self.bench.vendor).capabilities("no-such-model") is None


HOSTILE_ENVIRONMENT = {
    "ANTHROPIC_CUSTOM_HEADERS": "X-Leak: 1\nAuthorization: Bearer evil\nanthropic-version: 2023-06-01",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_AUTH_TOKEN": "evil",
    "OPENAI_CUSTOM_HEADERS": "X-Leak: 1\nAuthorization: Bearer evil",
    "OPENAI_BASE_URL": "http://127.0.0.1:9",
    "OPENAI_ORG_ID": "org-evil",
    "OPENAI_PROJECT_ID": "proj-evil",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_API_VERSION": "v9",
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}
