"""Every vendor's streams, as they come and as they break: the same reply as a whole one, or a typed error."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.surface import Heard
from pipeline.vendors._stream import Assembly, Listener
from pipeline.vendors.anthropic.stream import Message
from pipeline.vendors.compatible.reply import read
from pipeline.vendors.compatible.stream import Completion
from pipeline.vendors.openai.stream import Response
from stages.model import Model, ModelError, Reply, UserTurn
from tests.loopback import LoopbackServer, Say, always
from tests.loopback.brain import Fault
from tests.loopback.wire import event
from tests.vendors.bench import ASK, BENCHES, CHAT, TEXT, Bench

ANTHROPIC, OPENAI, GOOGLE = BENCHES
ALL = (*BENCHES, CHAT, TEXT)
TALK = "Grüße, 世界 🙂: a line\nand\u2028another\x85one"
CALLS: list[tuple[str, Mapping[str, Any]]] = [
    ("read_file", {"path": "ä/b.py", "start_line": 3}),
    ("read_file", {"path": "c.py", "start_line": None}),
    ("read_file", {}),
]
every = pytest.mark.parametrize("bench", ALL, ids=lambda bench: f"{bench.vendor}-{bench.model}")


def replies(bench: Bench, *says: Say) -> list[Reply]:
    """Return the reply to the same request for each thing the server says."""

    async def asked(model: Model, server: LoopbackServer) -> list[Reply]:
        found = []
        for say in says:
            server.brain = always(say)
            found.append(await model.complete(ASK))
        return found

    return bench.run(always(says[0]), asked, effort="high")


def broken(bench: Bench, fault: Fault, **changes: Any) -> ModelError:
    with pytest.raises(ModelError) as raised:
        bench.ask(always(Say(TALK * 9, calls=CALLS, fault=fault)), effort="high", **changes)
    return raised.value


@every
@pytest.mark.parametrize(
    "say",
    [
        Say(TALK, calls=CALLS),
        Say(calls=CALLS[:1]),
        Say(TALK, stop="truncated", calls=CALLS),
        Say(reasoning=False),
        Say(TALK, reasoning=False),
    ],
)
def test_a_streamed_turn_is_the_turn_that_would_have_come_whole(bench: Bench, say: Say) -> None:
    streamed, whole = replies(bench, say, Say(say.text, say.calls, stop=say.stop, reasoning=say.reasoning, whole=True))
    assert streamed.turn == whole.turn
    assert repr(streamed.turn.native) == repr(whole.turn.native), "the order of its fields is kept too"
    assert (streamed.stop, streamed.id, streamed.model) == (whole.stop, whole.id, whole.model)
    assert streamed.usage.output == whole.usage.output


@pytest.mark.parametrize("bench", [ANTHROPIC, OPENAI, CHAT])
def test_a_text_with_reasoning_is_the_same_too(bench: Bench) -> None:
    """Gemini alone sends the signature of a text as a part of its own: see `test_gemini_signatures_stay_alone`."""
    streamed, whole = replies(bench, Say(TALK), Say(TALK, whole=True))
    assert repr(streamed.turn) == repr(whole.turn)


@every
def test_it_does_not_matter_how_the_network_cuts_the_bytes(bench: Bench) -> None:
    one, *others = replies(bench, *(Say(TALK, calls=CALLS, piece=piece) for piece in (None, 1, 2, 3, 5, 64)))
    assert [other.turn for other in others] == [one.turn] * len(others)
    assert one.turn.text == TALK


@every
def test_half_a_character_is_replaced_and_the_reply_can_be_handed_back(bench: Bench) -> None:
    async def asked(model: Model, server: LoopbackServer) -> str:
        turn = (await model.complete(ASK)).turn
        server.brain = always(Say("done"))
        await model.complete(replace(ASK, turns=(*ASK.turns, turn, UserTurn("go on"))))
        return turn.text

    assert bench.run(always(Say("a\ud83d b", reasoning=False)), asked) == "a\ufffd b"


@every
def test_half_a_character_in_arguments_is_for_whoever_checks_them_to_refuse(bench: Bench) -> None:
    turn = bench.ask(always(Say(calls=[("read_file", {"path": "c\ude42"})], reasoning=False))).turn
    assert [call.arguments for call in turn.calls] == [{"path": "c\ude42"}]
    assert json.dumps(turn.native, ensure_ascii=False).encode(), "what goes back can be sent"


def test_a_character_whose_halves_come_in_two_pieces_is_whole() -> None:
    def pieces(*deltas: str) -> list[bytes]:
        return [event({"choices": [{"delta": {"content": delta}, "finish_reason": "stop"}]}) for delta in deltas]

    assert heard_in(pieces("x\ud83d", "\ude42y"), Completion())["choices"][0]["message"]["content"] == "x🙂y"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b'data: {"error": {"message": "boom"}}', "server"),
        (b'data: {"error": "boom"}', "server"),
        (b'event: error\ndata: {"error": {"message": "boom", "code": 429}}', "rate_limit"),
        (b'event: error\ndata: {"message": "boom", "code": 503}', "overloaded"),
        (b'error: {"code": 500, "message": "boom", "type": "server_error"}', "server"),
        (b'data: {"object": "error", "message": "boom", "type": "BadRequestError", "code": 400}', "bad_request"),
        (b'data: {"error": {"message": "boom: greater than the context length"}}', "too_large"),
        (b'error: {"code": 400, "message": "boom: exceeds the available context size"}', "too_large"),
    ],
)
def test_an_error_that_a_server_sends_in_its_stream_is_known_in_whatever_form_it_comes(said: bytes, kind: str) -> None:
    document = heard_in([event({"choices": []}), said + b"\n\n", event("[DONE]")], Completion())
    with pytest.raises(ModelError, match="boom") as raised:
        read(document, ("mark", "m"), 1, in_text=False, request_id="")
    assert raised.value.kind == kind


BREAKS: list[tuple[Fault, str]] = [
    ("stream_cut", "protocol"),
    ("stream_garbage", "protocol"),
    ("stream_eof", "network"),
    ("stream_reset", "network"),
]


@every
@pytest.mark.parametrize(("fault", "kind"), BREAKS)
def test_a_stream_that_breaks_off_is_a_typed_error_that_may_have_cost(bench: Bench, fault: Fault, kind: str) -> None:
    error = broken(bench, fault)
    assert (error.kind, error.generated) == (kind, True)
    assert (error.__cause__, error.__context__) == (None, None)


@every
@pytest.mark.parametrize("fault", [*(fault for fault, _ in BREAKS), "stream_error", "stream_stall"])
def test_the_input_a_stream_reported_before_it_broke_is_passed_on(bench: Bench, fault: Fault) -> None:
    error = broken(bench, fault, stall=0.5 if fault == "stream_stall" else 60)  # a busy machine is no silence
    early = bench in (ANTHROPIC, GOOGLE)
    assert (error.input_reported is not None) == early
    if error.input_reported:
        assert error.input_reported[0] > 0


@pytest.mark.parametrize(
    ("bench", "kind", "words"),
    [
        (ANTHROPIC, "overloaded", "Overloaded"),
        (OPENAI, "rate_limit", "slow down"),
        (GOOGLE, "rate_limit", "slow down"),
        (CHAT, "server", "upstream failed"),
    ],
)
def test_an_error_in_the_middle_of_a_stream_is_known_by_its_own_words(bench: Bench, kind: str, words: str) -> None:
    error = broken(bench, "stream_error")
    assert (error.kind, error.generated) == (kind, True)
    assert words in error.message


@every
@pytest.mark.parametrize("fault", ["hang", "stream_stall"])
def test_a_silence_beyond_the_limit_is_a_timeout_that_names_its_key(bench: Bench, fault: Fault) -> None:
    began = time.monotonic()
    error = broken(bench, fault, stall=0.2)
    assert (error.kind, error.message) == ("timeout", "no bytes for 0.2 s (stages.coder.stall)")
    assert 0.2 <= time.monotonic() - began < 5


@every
def test_a_slow_stream_is_not_a_silent_one(bench: Bench) -> None:
    """The negative control: it takes longer than the limit, a little at a time."""
    began = time.monotonic()
    said = "slow" * 300
    reply = bench.ask(always(Say(said, reasoning=False, fault="trickle", piece=48)), stall=0.5)
    assert reply.turn.text == said
    assert time.monotonic() - began > 0.6


@pytest.mark.parametrize("bench", [ANTHROPIC, OPENAI, CHAT])
def test_a_reply_that_has_ended_is_not_waited_for(bench: Bench) -> None:
    assert bench.ask(always(Say("done", fault="stream_open")), stall=2.0).turn.text == "done"


@every
def test_what_arrives_is_told_as_it_arrives(bench: Bench) -> None:
    heard: list[Heard] = []
    bench.ask(always(Say("a text of some length", calls=CALLS)), effort="high", progress=heard.append)
    kinds = {each.kind for each in heard}
    assert kinds >= ({"text"} if bench.tools_in_text else {"text", "tool"})
    assert ("thinking" in kinds) == (bench is not GOOGLE)
    counts = [each.characters for each in heard]
    assert counts == sorted(counts)
    assert counts[-1] >= len("a text of some length")


def streamed_bytes(bench: Bench) -> bytes:
    """Return a reply's stream as the server sends it."""

    async def asked(model: Model, server: LoopbackServer) -> bytes:
        await model.complete(ASK)
        sent = server.log[-1]
        base = server.url.removesuffix("/v1")
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.post(base + sent.path, json=sent.json, headers=dict(sent.headers))).content

    return bench.run(always(Say(TALK, calls=CALLS)), asked, effort="high")


ASSEMBLIES: list[tuple[Bench, Callable[[], Assembly]]] = [(ANTHROPIC, Message), (OPENAI, Response), (CHAT, Completion)]
RECORDED = [(streamed_bytes(bench), made) for bench, made in ASSEMBLIES]


def heard_in(chunks: list[bytes], assembly: Assembly) -> dict[str, Any]:
    listener = Listener(assembly)
    for chunk in chunks:
        if listener.feed(chunk):
            break
    return listener.document()


def outcome(chunks: list[bytes], assembly: Assembly) -> tuple[dict[str, Any], str | None]:
    """Return the document, or what kind of error there is instead."""
    try:
        return heard_in(chunks, assembly), None
    except ModelError as error:
        return {}, error.kind


@given(data=st.data())
@pytest.mark.parametrize(("content", "made"), RECORDED, ids=["anthropic", "openai", "chat"])
def test_any_cuts_and_line_ends_give_the_same_document(
    content: bytes, made: Callable[[], Assembly], data: st.DataObject
) -> None:
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    sent = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf", b": hello\n\n"])) + content.replace(b"\n", end)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    chunks = [sent[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert heard_in(chunks, made()) == heard_in([content], made())


@given(data=st.data())
@pytest.mark.parametrize(("content", "made"), RECORDED, ids=["anthropic", "openai", "chat"])
def test_any_beginning_is_a_protocol_error_or_the_whole(
    content: bytes, made: Callable[[], Assembly], data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(content)))
    whole = heard_in([content], made())
    found, kind = outcome([content[:kept]], made())
    if kind is not None:
        assert kind == "protocol"
        return
    without = {name: value for name, value in whole.items() if name != "usage"}
    assert found in (whole, without), "a chat completion may lose the chunk with its usage, and is charged in full"


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"data: {text}\n\n".encode()))
@pytest.mark.parametrize("made", [made for _, made in ASSEMBLIES])
def test_no_bytes_are_taken_for_a_reply(made: Callable[[], Assembly], content: bytes) -> None:
    with pytest.raises(ModelError):
        heard_in([content], made())


def test_a_stream_without_end_is_given_up() -> None:
    assert outcome([b"data: " + b"x" * 1_000_000] * 100, Message())[1] == "protocol"
    assert outcome([b"{" + b"x" * 1_000_000] * 100, Message())[1] == "protocol"


def test_streams_of_several_calls_at_once_are_told_apart() -> None:
    async def both(model: Model, server: LoopbackServer) -> None:
        server.brain = lambda conversation: Say(f"{conversation.max_output_tokens}" * 50, piece=3)
        found: dict[int, str] = {}

        async def one(limit: int) -> None:
            request = type(ASK)(ASK.system, ASK.turns, ASK.tools, limit)
            found[limit] = (await model.complete(request)).turn.text

        async with anyio.create_task_group() as group:
            for limit in (100, 200, 300):
                group.start_soon(one, limit)
        assert found == {limit: str(limit) * 50 for limit in (100, 200, 300)}

    ANTHROPIC.run(always(Say("")), both)
