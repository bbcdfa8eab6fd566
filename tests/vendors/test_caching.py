"""Consecutive calls of an attempt have one prefix, byte for byte, and the vendors' caches serve it."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from stages.model import Model, Request, ToolResult, Turn, UserTurn
from tests.loopback import LoggedRequest, LoopbackServer, Say, always
from tests.loopback.tokens import LEAST
from tests.vendors.bench import ASK, BENCHES, CHAT, TEXT, Bench
from tests.vendors.coder_session import TURNS, Attempt, coder_attempts
from tests.vendors.prompt_text import prompt_text, settings_text

ANTHROPIC, OPENAI, GOOGLE = BENCHES
CACHING = (*BENCHES, CHAT, TEXT)
MARKER = '"cache_control": {"type": "ephemeral"}'


@cache
def held(bench: Bench) -> list[Attempt]:
    """Return a long and a short attempt at one item, held once for all tests."""
    return coder_attempts(bench, TURNS, 3)


def answered(bench: Bench, attempt: Attempt) -> list[LoggedRequest]:
    """Return the requests that were answered: a server without tools refuses them once."""
    return [each for each in attempt.sent if not (bench.tools_in_text and each.json.get("tools"))]


@pytest.mark.parametrize("bench", CACHING, ids=lambda bench: bench.model)
def test_each_prompt_of_an_attempt_goes_on_where_the_one_before_ended(bench: Bench) -> None:
    for attempt, turns in zip(held(bench), (TURNS, 3), strict=True):
        sent = answered(bench, attempt)
        assert len(sent) == turns
        prompts = [prompt_text(bench.vendor, each) for each in sent]
        for before, after in pairwise(prompts):
            assert after.startswith(before)
            assert len(after) > len(before)
        assert len({settings_text(bench.vendor, each) for each in sent}) == 1


def test_a_prompt_that_changes_anywhere_is_no_continuation() -> None:
    """Without this the test above would prove nothing."""
    first, second = held(ANTHROPIC)[0].sent[:2]
    body = json.loads(second.raw)
    body["tools"][0] = dict(reversed(body["tools"][0].items()))
    turned = replace(second, json=body)
    assert not prompt_text("anthropic", turned).startswith(prompt_text("anthropic", first))


@pytest.mark.parametrize("bench", CACHING, ids=lambda bench: bench.model)
def test_nine_tenths_of_a_long_attempts_input_come_from_the_cache(bench: Bench) -> None:
    attempt = held(bench)[0]
    assert len(attempt.usages) == TURNS
    assert attempt.usages[0].cache_read == 0
    assert attempt.usages[-1].input > 15_000
    assert attempt.cached_share >= 0.9


@pytest.mark.parametrize("bench", CACHING, ids=lambda bench: bench.model)
def test_the_next_attempt_of_a_stage_reads_system_text_and_tools_from_the_cache(bench: Bench) -> None:
    first, second = (attempt.usages[0] for attempt in held(bench))
    assert first.cache_read == 0
    assert second.cache_read >= LEAST


def test_anthropic_is_sent_three_markers_that_move_with_the_conversation() -> None:
    bodies = [each.json for each in held(ANTHROPIC)[0].sent]
    for body in bodies[1:]:
        assert json.dumps(body).count(MARKER) == 3
        assert MARKER in json.dumps(body["system"][-1])
        ends = [json.dumps(message["content"][-1]) for message in body["messages"][-3:]]
        assert [MARKER in end for end in ends] == [True, False, True]


def test_a_turn_with_more_blocks_than_anthropic_looks_back_over_is_still_cached() -> None:
    calls = [("read_file", {"path": f"{number}.py"}) for number in range(24)]

    async def wide(model: Model, _server: LoopbackServer) -> list[int]:
        turns: list[Turn] = [UserTurn("word " * 2_000)]
        read: list[int] = []
        for _ in range(3):
            reply = await model.complete(Request(ASK.system, tuple(turns), ASK.tools, 4_000))
            read.append(reply.usage.cache_read)
            results = [ToolResult(call.id, call.name, "x" * 400) for call in reply.turn.calls]
            turns += [reply.turn, UserTurn("", results)]
        return read

    first, second, third = ANTHROPIC.run(always(Say(calls=calls)), wide)
    assert first == 0
    assert second > 2_000
    assert third > second + 24 * 100


@pytest.mark.parametrize("bench", [OPENAI, CHAT], ids=lambda bench: bench.model)
def test_the_cache_key_is_that_of_run_and_stage_and_never_too_long(bench: Bench) -> None:
    keys = {each.json.get("prompt_cache_key") for attempt in held(bench) for each in attempt.sent}
    assert keys == ({"run-1:coder"} if bench is OPENAI else {None})

    async def sent(model: Model, server: LoopbackServer) -> str:
        await model.complete(ASK)
        return str(server.log[-1].json.get("prompt_cache_key"))

    long = f"run-{'1' * 80}:coder"
    if bench is OPENAI:
        assert len(bench.run(always(Say("x")), sent, cache_key=long)) == 64
