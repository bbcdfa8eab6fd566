"""One attempt's conversation, sentence by sentence."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from sandbox.base import Sandbox, SandboxLostError
from stages.artifacts import Finish, Frozen
from stages.contract import StageResult
from stages.model import ModelTurn, ToolCall, Usage, UserTurn
from stages.session import converse
from stages.tool import RefusedError, StageTool
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, contents, reply
from tests.stages.setting import Clock, context_of

pytestmark = pytest.mark.anyio
NOWHERE = cast("Sandbox", None)  # the tools here need none
DONE = reply(call("finish", summary="done"))


class Note(Frozen):
    text: str
    times: int | None = None
    tags: tuple[str, ...] = ()


class Bench:
    """A session with an echo tool, a tool that always refuses, and a terminal one."""

    def __init__(self, *replies: Any, **changes: Any) -> None:
        self.model = ScriptedModel(*replies)
        self.observer = RecordingObserver()
        self.context = context_of(self.model, NOWHERE, self.observer, **changes)
        self.echoed: list[str] = []
        self.count = 0

    async def run(self) -> StageResult:
        return await converse(self.context, self._tools(), "Go.")

    def _tools(self) -> Sequence[StageTool[Any]]:
        async def echo(note: Note) -> str:
            self.echoed.append(note.text)
            return note.text

        async def counter(note: Note) -> str:
            self.count += 1
            return str(self.count)

        async def stubborn(note: Note) -> str:
            raise RefusedError("never", "not today")

        async def lost(note: Note) -> str:
            raise SandboxLostError("gone")

        async def finish(summary: Finish) -> StageResult:
            return StageResult("passed", summary)

        return [
            StageTool("echo", "Echo.", Note, echo),
            StageTool("counter", "Count.", Note, counter),
            StageTool("stubborn", "Refuse.", Note, stubborn),
            StageTool("lost", "Lose the sandbox.", Note, lost),
            StageTool("finish", "Finish.", Finish, finish, terminal=True),
        ]


async def test_the_first_turn_is_the_typed_input_and_the_terminal_tool_ends_with_its_artifact() -> None:
    bench = Bench(DONE)
    assert await bench.run() == StageResult("passed", Finish(summary="done"))
    request = bench.model.requests[0]
    assert request.turns == (UserTurn("Go."),)
    assert request.system == "You are a stage."
    assert request.max_output_tokens == 1000
    assert [tool.name for tool in request.tools] == ["echo", "counter", "stubborn", "lost", "finish"]


async def test_calls_of_one_reply_are_carried_out_in_their_order_each_with_its_result() -> None:
    calls = (ToolCall("1", "echo", {"text": "a"}), ToolCall("2", "echo", {"text": "b"}))
    bench = Bench(reply(*calls), DONE)
    await bench.run()
    assert bench.echoed == ["a", "b"]
    assert [(result.call_id, result.content) for result in bench.model.last_turn.results] == [("1", "a"), ("2", "b")]
    assert [name for name, _, _ in bench.observer.calls] == ["echo", "echo", "finish"]


async def test_no_call_after_a_terminal_one_is_carried_out() -> None:
    bench = Bench(reply(call("finish", summary="x"), call("echo", text="late")))
    assert (await bench.run()).outcome == "passed"
    assert bench.echoed == []


async def test_every_call_has_a_result_also_after_a_refused_terminal_one() -> None:
    calls = (call("echo", text="early"), call("finish"), call("echo", text="late"), call("echo", text="later"))
    bench = Bench(reply(*calls), DONE)
    assert (await bench.run()).outcome == "passed"
    assert bench.echoed == ["early"]
    results = bench.model.last_turn.results
    assert [result.is_error for result in results] == [False, True, True, True]
    assert "follows a terminal tool" in results[2].content
    assert bench.observer.codes == ["bad_arguments", "after_terminal", "after_terminal"]


async def test_plain_text_gets_one_reminder_and_then_the_reply_is_unusable() -> None:
    bench = Bench(reply(text="I think..."), reply(text="All done!"))
    result = await bench.run()
    assert result.outcome == "unusable"
    assert result.failure is not None
    assert result.failure.code == "no_tool_call"
    assert "finish" in bench.model.last_turn.text


async def test_a_call_after_the_reminder_earns_another_one() -> None:
    bench = Bench(reply(text="hm"), reply(call("echo", text="a")), reply(text="hm"), DONE)
    assert (await bench.run()).outcome == "passed"


@pytest.mark.parametrize(
    ("bad", "code", "says"),
    [
        (call("teleport", text="a"), "unknown_tool", "the tools are echo, counter, stubborn, lost, finish"),
        (call("echo"), "bad_arguments", "text: Field required"),
        (call("echo", text="a", colour="red"), "bad_arguments", "colour"),
        (call("echo", text="a", times="often"), "bad_arguments", "(got 'often')"),
        (call("echo", text="\ud800"), "bad_arguments", "not valid Unicode"),
        (ToolCall("1", "echo", None, '{"text": '), "bad_arguments", '{"text": '),
        (call("stubborn", text="a"), "never", "not today"),
    ],
)
async def test_a_refusal_is_an_ordinary_result_that_says_why(bad: ToolCall, code: str, says: str) -> None:
    bench = Bench(reply(bad), DONE)
    assert (await bench.run()).outcome == "passed"
    (result,) = bench.model.last_turn.results
    assert result.is_error
    assert says in result.content
    assert bench.observer.codes == [code]
    assert bench.echoed == []


async def test_null_leaves_an_optional_argument_out() -> None:
    bench = Bench(reply(call("echo", text="a", times=None, tags=None)), DONE)
    await bench.run()
    assert bench.echoed == ["a"]


async def test_bad_arguments_of_a_terminal_tool_are_refused_twice_and_then_unusable() -> None:
    bad = [reply(call("finish", sumary=str(number))) for number in range(3)]
    bench = Bench(*bad)
    result = await bench.run()
    assert result.outcome == "unusable"
    assert result.failure is not None
    assert result.failure.code == "bad_arguments"
    assert len(bench.model.requests) == 3


async def test_two_bad_tries_of_a_terminal_tool_are_forgiven() -> None:
    broken = reply(ToolCall("1", "finish", None, "{"))
    bench = Bench(broken, reply(call("finish")), DONE)
    assert (await bench.run()).outcome == "passed"


async def test_the_same_call_with_the_same_result_five_times_running_is_no_progress() -> None:
    bench = Bench(*[reply(call("echo", text="a"))] * 5)
    result = await bench.run()
    assert result.outcome == "no_progress"
    assert result.failure is not None
    assert result.failure.kind == "no_progress"
    assert len(bench.model.requests) == 5


async def test_five_times_counts_within_one_reply_and_for_refusals_too() -> None:
    bench = Bench(reply(*[call("stubborn", text="a")] * 6))
    assert (await bench.run()).outcome == "no_progress"
    assert len(bench.observer.refusals) == 5


@pytest.mark.parametrize(
    "calls",
    [
        [call("echo", text="a")] * 4 + [call("echo", text="b")] + [call("echo", text="a")] * 4,
        [call("counter", text="a")] * 9,
    ],
    ids=["another call between", "another result each time"],
)
async def test_anything_else_is_progress(calls: list[ToolCall]) -> None:
    bench = Bench(*[reply(one) for one in calls], DONE)
    assert (await bench.run()).outcome == "passed"


@pytest.mark.parametrize(
    ("limit", "ceiling", "asked"),
    [(1000, 8000, [1000, 2000]), (1000, 1500, [1000, 1500])],
    ids=["twice the limit", "at most the model's maximum"],
)
async def test_a_cut_reply_is_asked_again_with_twice_the_limit(limit: int, ceiling: int, asked: list[int]) -> None:
    cut = reply(call("echo", text="half"), stop="truncated")
    bench = Bench(cut, DONE, max_output_tokens=limit, output_tokens_ceiling=ceiling)
    assert (await bench.run()).outcome == "passed"
    assert [request.max_output_tokens for request in bench.model.requests] == asked
    assert bench.model.requests[0].turns == bench.model.requests[1].turns
    assert bench.echoed == []


@pytest.mark.parametrize(
    ("replies", "ceiling"),
    [
        ([reply(stop="truncated"), reply(stop="truncated")], 8000),
        ([reply(stop="truncated")], 1000),
        ([reply(stop="truncated"), reply(call("echo", text="a")), reply(stop="truncated")], 8000),
    ],
    ids=["cut again", "already at the maximum", "cut again later in the attempt"],
)
async def test_a_reply_cut_again_is_unusable(replies: list[Any], ceiling: int) -> None:
    bench = Bench(*replies, output_tokens_ceiling=ceiling)
    result = await bench.run()
    assert result.outcome == "unusable"
    assert result.failure is not None
    assert result.failure.code == "truncated"
    assert not bench.model.replies


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (229, "after 229 output tokens, before its limit of 1000: the model's context is full"),
        (1000, "the reply was cut at 1000 output tokens"),
        (0, "the reply was cut at 1000 output tokens"),
    ],
    ids=["before the limit", "at the limit", "unknown"],
)
async def test_a_cut_reply_says_where_it_was_cut(output: int, said: str) -> None:
    cut = replace(reply(stop="truncated"), usage=Usage(9000, output=output))
    result = await Bench(cut, max_output_tokens=1000, output_tokens_ceiling=1000).run()
    assert result.failure is not None
    assert said in result.failure.message


async def test_a_model_that_refuses_is_unusable() -> None:
    bench = Bench(reply(text="I cannot help.", stop="refused"))
    result = await bench.run()
    assert result.outcome == "unusable"
    assert result.failure is not None
    assert result.failure.code == "refused"


class BreakerError(Exception):
    """Stands for what a stage knows nothing of."""


@pytest.mark.parametrize("error", [BreakerError("open"), TimeoutError()])
async def test_what_the_model_raises_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)):
        await Bench(error).run()


async def test_a_lost_sandbox_passes_through() -> None:
    with pytest.raises(SandboxLostError):
        await Bench(reply(call("lost", text="a"))).run()


async def test_at_two_thirds_of_the_time_the_model_is_told_once_what_is_left() -> None:
    notes = [reply(call("echo", text=str(number))) for number in range(4)]
    # One look at the start, then three a reply: before the call, after it, and for the note.
    clock = Clock([300, 290, 280, 270, 260, 250, 101, 100, 99, 98, 90, 80, 70])
    bench = Bench(*notes, DONE, remaining=clock)
    await bench.run()
    turns = bench.model.requests[-1].turns
    texts = [turn.text for turn in turns if isinstance(turn, UserTurn) and turn.results]
    assert [bool(text) for text in texts] == [False, False, True, False]
    assert "98 seconds" in texts[2]


async def test_a_calls_seconds_are_those_the_attempt_lost_meanwhile() -> None:
    bench = Bench(reply(call("echo", text="a")), DONE, remaining=Clock([300, 290, 283.5, 280]))
    await bench.run()
    assert bench.observer.seconds[0] == 6.5


async def test_each_request_extends_the_one_before_it() -> None:
    native = {"reasoning": "kept as the vendor sent it"}
    bench = Bench(
        reply(call("echo", text="a"), text="first", native=native),
        reply(text="chat"),
        reply(stop="truncated"),
        reply(call("finish")),
        DONE,
    )
    await bench.run()
    for earlier, later in zip(bench.model.requests, bench.model.requests[1:], strict=False):
        assert later.turns[: len(earlier.turns)] == earlier.turns
        assert (later.system, later.tools) == (earlier.system, earlier.tools)
    for request in bench.model.requests:
        kinds = [type(turn) for turn in request.turns]
        assert kinds == [UserTurn, ModelTurn] * (len(kinds) // 2) + [UserTurn]
    second = bench.model.requests[-1].turns[1]
    assert isinstance(second, ModelTurn)
    assert second.native == native
    assert contents(bench.model.results)[0] == "a"
