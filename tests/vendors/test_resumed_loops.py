"""A tool loop that goes on from what the database kept sends the bytes an uninterrupted one sends."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from pipeline import loader
from pipeline.memory.transcript import dump_reply, dump_request, load_reply, load_request
from stages.model import Model, ModelError, Reply, Request, ToolResult, UserTurn
from tests.loopback import LoopbackServer, Say, by_turn
from tests.state.test_transcript import Blobs
from tests.vendors.bench import ASK, BENCHES, CHAT, TEXT, Bench

ALL = (*BENCHES, CHAT, TEXT)
CALLS = 4
LOOP = by_turn(
    Say("I look first.", calls=[("read_file", {"path": "a.py", "start_line": 3}), ("read_file", {"path": "b.py"})]),
    Say(calls=[("read_file", {"path": "größe 語.py", "nested": {"b": [1, 2.5, None], "a": True}})]),
    Say("And once more.", calls=[("read_file", {"path": "c.py"})]),
    Say("Done."),
)
Passing = Callable[[Request, Reply], tuple[Request, Reply]]


def as_they_are(request: Request, reply: Reply) -> tuple[Request, Reply]:
    return request, reply


def through_the_database(request: Request, reply: Reply) -> tuple[Request, Reply]:
    """Keep both as the ledger does and read them back, as a resume does."""
    blobs = Blobs()
    digests = dump_request(request, blobs.put), dump_reply(reply, blobs.put)
    return load_request(digests[0], blobs.__getitem__), load_reply(digests[1], blobs.__getitem__)


def extended(request: Request, reply: Reply) -> Request:
    """Return the next request of the loop."""
    results = tuple(ToolResult(call.id, call.name, f"content of {call.arguments}") for call in reply.turn.calls)
    return replace(request, turns=(*request.turns, reply.turn, UserTurn("", results)))


async def loop(model: Model, passing: Passing, calls: int = CALLS) -> Request:
    """Converse for so many calls and return the request that comes next."""
    request = ASK
    for _ in range(calls):
        request = extended(*passing(request, await model.complete(request)))
    return request


def bodies(bench: Bench, passing: Passing) -> list[bytes]:
    async def sent(model: Model, server: LoopbackServer) -> list[bytes]:
        await loop(model, passing)
        assert bench.refusals(server) == []
        return [each.raw for each in server.log]

    return bench.run(LOOP, sent, effort="high")


@pytest.mark.parametrize("bench", ALL, ids=lambda bench: bench.model)
def test_a_resumed_loop_sends_the_bytes_of_an_uninterrupted_one(bench: Bench) -> None:
    uninterrupted = bodies(bench, as_they_are)
    assert bodies(bench, through_the_database) == uninterrupted
    assert len(set(uninterrupted)) == len(uninterrupted) >= CALLS


@pytest.mark.parametrize("bench", [*BENCHES, CHAT], ids=lambda bench: bench.model)
def test_a_loop_that_keeps_only_the_words_sends_others(bench: Bench) -> None:
    """Without this the test above would prove nothing."""

    def only_words(request: Request, reply: Reply) -> tuple[Request, Reply]:
        return request, replace(reply, turn=replace(reply.turn, native=None))

    async def sent(model: Model, server: LoopbackServer) -> bytes:
        request = await loop(model, only_words, calls=1)
        with suppress(ModelError):  # refused or not, the bytes are what counts here
            await model.complete(request)
        return server.log[-1].raw

    assert bench.run(LOOP, sent, effort="high") not in bodies(bench, as_they_are)


@pytest.mark.parametrize("bench", ALL, ids=lambda bench: bench.model)
def test_another_model_goes_on_with_the_words_and_calls_but_without_the_reasoning(bench: Bench) -> None:
    async def changed(model: Model, server: LoopbackServer) -> tuple[str, set[str]]:
        request = await loop(model, through_the_database, calls=2)
        reasoning = {text for turn in request.turns for text in _reasoning(getattr(turn, "native", None))}
        assert bool(reasoning) != bench.tools_in_text
        other = await loader.connect(bench.vendor, bench.binding(server, model=bench.other_model, effort="high"))
        assert (await other.complete(request)).model == bench.other_model
        assert bench.refusals(server) == []
        return json.dumps(server.log[-1].json, ensure_ascii=False), reasoning

    body, reasoning = bench.run(LOOP, changed, effort="high")
    assert "I look first." in body
    assert "größe 語.py" in body
    assert not [text for text in reasoning if text in body]


def _reasoning(native: Any, name: str = "") -> set[str]:
    """Return every piece of a turn's own JSON that only the model which made it can read."""
    if isinstance(native, dict):
        return {text for key, value in native.items() for text in _reasoning(value, key)}
    if isinstance(native, list):
        return {text for value in native for text in _reasoning(value, name)}
    secret = name in {"signature", "encrypted_content", "thought_signature", "reasoning_content"}
    return {str(native)} if secret and native else set()
