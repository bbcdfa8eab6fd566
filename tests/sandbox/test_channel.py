"""Whatever an agent sends, the caller gets an answer or a lost sandbox: never a hang, never anything run."""

import itertools
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import EndOfStream
from hypothesis import given
from hypothesis import strategies as st

from sandbox.attach import AttachWire
from sandbox.base import BaseTree, SandboxLostError, SandboxPathError
from sandbox.channel import Channel, RefusedByAgentError, open_channel
from sandbox.frames import Content, Done, Exited, ForeignFrameError, FrameReader, Hello
from sandbox.resident import ResidentSandbox

pytestmark = pytest.mark.anyio
EMPTY_BASE = BaseTree("0" * 40, b"", {})
EXITED: dict[str, Any] = {
    "kind": "exited",
    "exit_code": 0,
    "seconds": 0.5,
    "timed_out": False,
    "oom": False,
    "out": 0,
    "err": 0,
    "out_bytes": 0,
    "err_bytes": 0,
    "stragglers": 0,
}


def frame(header: object, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">II", len(text), len(payload)) + text + payload


class FakeAgent:
    """The other end of a wire: answers each request as its script says."""

    def __init__(self, answer: Callable[[dict[str, Any], bytes], bytes | None]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answer = answer
        self._out, self._in = anyio.create_memory_object_stream[bytes](1000)

    async def send(self, item: bytes) -> None:
        size, payload_size = struct.unpack_from(">II", item)
        request = json.loads(item[8 : 8 + size])
        assert len(item) == 8 + size + payload_size
        self.requests.append(request)
        answer = self._answer(request, item[8 + size :])
        if answer is None:
            return
        if answer:
            await self._out.send(answer)
        else:
            self._out.close()

    async def receive(self) -> bytes:
        return await self._in.receive()

    def last_words(self) -> str:
        return "its last words"

    def close(self) -> None:
        self._out.close()
        self._in.close()


@asynccontextmanager
async def talking_to(
    answer: Callable[[dict[str, Any], bytes], bytes | None], *, silence: float = 30, ping_every: float = 30
) -> AsyncIterator[tuple[Channel, FakeAgent]]:
    agent = FakeAgent(answer)
    try:
        async with open_channel(agent, silence=silence, ping_every=ping_every) as channel:
            yield channel, agent
    finally:
        agent.close()


async def lost(call: Callable[[], Awaitable[object]]) -> str:
    with anyio.fail_after(5), pytest.raises(SandboxLostError) as error:
        await call()
    return str(error.value)


BAD_FRAMES = {
    "no JSON": frame(b"hello"),
    "not an object": frame([1]),
    "no id": frame({"kind": "done"}),
    "a negative id": frame({"id": -1, "kind": "done"}),
    "an id nobody used": frame({"id": 999, "kind": "done"}),
    "a kind of another type": frame({"id": 1, "kind": ["done"]}),
    "an unknown kind": frame({"id": 1, "kind": "run", "class_path": "os.system", "message": "id"}),
    "an unknown field": frame({"id": 1, "kind": "done", "class_path": "os.system"}),
    "an unknown code": frame({"id": 1, "kind": "error", "code": "os.system", "message": "id"}),
    "a message without end": frame({"id": 1, "kind": "error", "code": "failed", "message": "x" * 5000}),
    "the wrong kind": frame({"id": 1, "kind": "content"}, b"x"),
    "a second hello": frame({"id": 1, "kind": "hello", "git": True}),
    "lengths that do not add up": frame({"id": 1, **EXITED, "out": 5}, b"x"),
    "a text where a number belongs": frame({"id": 1, **EXITED, "exit_code": "0"}),
    "an exit code beyond a byte": frame({"id": 1, **EXITED, "exit_code": 256}),
    "no number": frame(json.dumps({"id": 1, **EXITED}).replace("0.5", "NaN").encode()),
    "a header too large": struct.pack(">II", 1 << 20, 0),
    "a payload too large": struct.pack(">II", 10, (64 << 20) + 1),
    "a deep header": frame(b"[" * 60_000),
    "nothing at all": b"",
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_a_frame_that_is_not_ours_loses_the_sandbox(name: str) -> None:
    async with talking_to(lambda *_: BAD_FRAMES[name]) as (channel, _):
        message = await lost(lambda: channel.call(Exited, {"op": "exec"}))
        assert message.startswith("the sandbox is gone")
        assert "its last words" in message
        await lost(lambda: channel.call(Done, {"op": "ping"}))


async def test_a_lost_sandbox_ends_every_call_that_waits() -> None:
    def answer(request: dict[str, Any], _: bytes) -> bytes | None:
        return b"" if request["op"] == "end" else None

    async with talking_to(answer) as (channel, _), anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(lost, lambda: channel.call(Exited, {"op": "exec"}))
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(lost, lambda: channel.call(Done, {"op": "end"}))


async def test_answers_find_their_calls_in_any_order() -> None:
    held: list[dict[str, Any]] = []

    def answer(request: dict[str, Any], payload: bytes) -> bytes | None:
        held.append({**request, "payload": payload.decode()})
        if len(held) < 3:
            return None
        return b"".join(
            frame({"id": each["id"], "kind": "content"}, each["payload"].encode()) for each in reversed(held)
        )

    answers: dict[str, bytes] = {}

    async def ask(channel: Channel, word: str) -> None:
        answers[word] = (await channel.call(Content, {"op": "read"}, word.encode()))[1]

    async with talking_to(answer) as (channel, _), anyio.create_task_group() as tasks:
        for word in ("one", "two", "three"):
            tasks.start_soon(ask, channel, word)
    assert answers == {"one": b"one", "two": b"two", "three": b"three"}


async def test_a_refusal_is_data_and_the_channel_goes_on() -> None:
    def answer(request: dict[str, Any], _: bytes) -> bytes:
        if request["op"] == "read":
            return frame({"id": request["id"], "kind": "error", "code": "missing", "message": "No such file"})
        return frame({"id": request["id"], "kind": "done"})

    async with talking_to(answer) as (channel, _):
        with pytest.raises(RefusedByAgentError, match="No such file"):
            await channel.call(Content, {"op": "read"})
        await channel.call(Done, {"op": "ping"})
        sandbox = ResidentSandbox(channel, "id", EMPTY_BASE)
        with pytest.raises(SandboxPathError, match=r"a\.txt: does not exist"):
            await sandbox.read("a.txt", limit=10)


async def test_cancelling_a_command_sends_a_kill_and_waits_for_it() -> None:
    def answer(request: dict[str, Any], _: bytes) -> bytes | None:
        if request["op"] == "exec":
            return None
        return frame({"id": request["job"], **EXITED}) + frame({"id": request["id"], "kind": "done"})

    async with talking_to(answer) as (channel, agent):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(channel.call, Exited, {"op": "exec"})
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert [request["op"] for request in agent.requests] == ["exec", "kill"]
        assert agent.requests[1]["job"] == agent.requests[0]["id"]


async def test_a_cancelled_owner_of_the_channel_can_still_kill() -> None:
    def answer(request: dict[str, Any], _: bytes) -> bytes | None:
        return None if request["op"] == "exec" else frame({"id": request["id"], "kind": "done"})

    requests: list[dict[str, Any]] = []
    with anyio.CancelScope() as scope:
        async with talking_to(answer) as (channel, agent):
            requests = agent.requests
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(channel.call, Exited, {"op": "exec"})
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
    assert [request["op"] for request in requests] == ["exec", "kill"]


async def test_a_silent_agent_is_lost_not_waited_for() -> None:
    async with talking_to(lambda *_: None, silence=0.05, ping_every=0.01) as (channel, _):
        assert "said nothing" in await lost(lambda: channel.call(Exited, {"op": "exec"}))


async def test_an_answer_longer_than_asked_for_loses_the_sandbox() -> None:
    async with talking_to(lambda request, _: frame({"id": request["id"], "kind": "content"}, b"x" * 11)) as (
        channel,
        _,
    ):
        sandbox = ResidentSandbox(channel, "id", EMPTY_BASE)
        await lost(lambda: sandbox.read("a", limit=10))


async def test_the_first_frame_is_a_greeting_or_the_sandbox_is_lost() -> None:
    greeting = frame({"id": 0, "kind": "done"})
    async with talking_to(lambda *_: greeting) as (channel, _), anyio.create_task_group() as tasks:
        tasks.start_soon(lost, channel.hello)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(lost, lambda: channel.call(Done, {"op": "ping"}))


class Pieces:
    """A byte stream that hands out given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._pieces:
            raise EndOfStream
        return self._pieces.pop(0)

    async def send(self, item: bytes) -> None:
        raise NotImplementedError

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        self._pieces.clear()


def mark(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


@given(
    parts=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=10),
)
def test_the_attach_stream_comes_apart_wherever_it_is_cut(parts: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(mark(kind, data) for kind, data in parts)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    wire = AttachWire(Pieces([stream[a:b] for a, b in itertools.pairwise(edges)]))  # type: ignore[arg-type] # a stub
    received = bytearray()

    async def read_all() -> None:
        while True:
            received.extend(await wire.receive())

    with pytest.raises(EndOfStream):
        anyio.run(read_all)
    assert bytes(received) == b"".join(data for kind, data in parts if kind == 1)


async def test_a_third_stream_is_no_stream_of_the_engine() -> None:
    wire = AttachWire(Pieces([mark(3, b"x")]))  # type: ignore[arg-type] # a stub
    with pytest.raises(ForeignFrameError):
        await wire.receive()


async def test_the_last_words_are_one_printable_line() -> None:
    wire = AttachWire(Pieces([mark(2, b"Traceback\n\x1b[31m" + b"x" * 5000 + b" the end\n"), mark(1, b"y")]))  # type: ignore[arg-type] # a stub
    assert await wire.receive() == b"y"
    words = wire.last_words()
    assert words.endswith("x the end")
    assert len(words) <= 400
    assert words.isprintable()


@given(data=st.binary(max_size=200))
def test_no_bytes_make_the_reader_do_anything_but_parse_or_refuse(data: bytes) -> None:
    try:
        replies = FrameReader().feed(data)
    except ForeignFrameError:
        return
    assert all(isinstance(reply, Hello | Done | Content | Exited) for reply, _ in replies)


@given(
    payloads=st.lists(st.binary(max_size=50), min_size=1, max_size=5),
    cut=st.integers(1, 60),
)
def test_frames_come_whole_however_they_are_cut(payloads: list[bytes], cut: int) -> None:
    stream = b"".join(frame({"id": n, "kind": "content"}, payload) for n, payload in enumerate(payloads))
    reader = FrameReader()
    replies = [reply for at in range(0, len(stream), cut) for reply in reader.feed(stream[at : at + cut])]
    assert [(reply.id, payload) for reply, payload in replies] == list(enumerate(payloads))
