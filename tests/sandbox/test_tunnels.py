"""Whatever an agent says about connections, the runner's memory is bounded and a broken rule loses the sandbox."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream

from sandbox.base import SandboxLostError
from sandbox.channel import Channel, open_channel
from sandbox.frames import Done
from sandbox.tunnels import MOST_TUNNELS, WINDOW, Tunnels
from tests.sandbox.test_channel import FakeAgent, frame

pytestmark = pytest.mark.anyio
Serve = Callable[[ByteStream], Awaitable[None]]


def said(kind: str, number: int = 1, payload: bytes = b"", **fields: int) -> bytes:
    return frame({"id": number, "kind": kind, **fields}, payload)


OPEN = said("opened")
FULL = b"".join(said("arrived", 1, b"x" * (WINDOW // 4)) for _ in range(4))
BROKEN = {
    "bytes of a connection nobody opened": said("arrived", 1, b"x"),
    "the end of one": said("closed"),
    "the same number twice": OPEN + OPEN,
    "a number that went backwards": said("opened", 5) + said("opened", 4),
    "a number that is not free yet": OPEN + said("closed") + said("closed"),
    "more connections than there may be": b"".join(said("opened", n + 1) for n in range(MOST_TUNNELS + 1)),
    "more bytes than the window": OPEN + FULL + said("arrived", 1, b"x"),
    "bytes after the last": OPEN + said("finished") + said("arrived", 1, b"x"),
    "more taken than was sent": OPEN + said("taken", count=1),
    "a count below zero": OPEN + said("taken", count=-1),
    "a field too many": OPEN + said("arrived", 1, b"x", port=1),
}


@asynccontextmanager
async def carrying(frames: bytes, serve: Serve) -> AsyncIterator[tuple[Channel, FakeAgent]]:
    """Run a channel whose agent says `frames` and then answers, with `serve` for each connection."""

    def answer(request: dict[str, Any], _: bytes) -> bytes | None:
        return frames + frame({"id": request["id"], "kind": "done"}) if request["op"] == "go" else None

    agent = FakeAgent(answer)
    async with open_channel(agent, ping_every=30) as channel, anyio.create_task_group() as tasks:
        channel.carry(Tunnels(channel.post, tasks, serve))
        yield channel, agent
        tasks.cancel_scope.cancel()
    agent.close()


async def say(agent: FakeAgent, frames: bytes) -> None:
    await agent._out.send(frames)


async def wait_for_ever(stream: ByteStream) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("name", BROKEN)
async def test_a_rule_of_connections_that_is_broken_loses_the_sandbox(name: str) -> None:
    async with carrying(BROKEN[name], wait_for_ever) as (channel, _):
        with anyio.fail_after(5), pytest.raises(SandboxLostError):
            await channel.call(Done, {"op": "go"})


async def test_frames_of_connections_where_none_can_be_lose_the_sandbox() -> None:
    agent = FakeAgent(lambda *_: OPEN)
    async with open_channel(agent, ping_every=30) as channel:
        with anyio.fail_after(5), pytest.raises(SandboxLostError, match="where none can be"):
            await channel.call(Done, {"op": "go"})
    agent.close()


async def test_what_keeps_the_rules_is_no_loss() -> None:
    frames = OPEN + FULL + said("finished") + said("closed") + said("opened", 2) + said("closed", 2)
    async with carrying(frames, wait_for_ever) as (channel, _):
        with anyio.fail_after(5):
            await channel.call(Done, {"op": "go"})


async def test_connections_that_come_and_go_never_run_out() -> None:
    frames = b"".join(said("opened", n) + said("closed", n) for n in range(1, 1000))

    async with carrying(frames, wait_for_ever) as (channel, agent):
        with anyio.fail_after(10):
            await channel.call(Done, {"op": "go"})
            await anyio.wait_all_tasks_blocked()
    closed = [request["id"] for request in agent.requests if request["op"] == "tunnel.close"]
    assert sorted(closed) == list(range(1, 1000))


async def test_what_is_sent_waits_for_room_and_ends_with_the_connection() -> None:
    ended = anyio.Event()

    async def serve(stream: ByteStream) -> None:
        try:
            await stream.send(b"x" * 3 * WINDOW)
        finally:
            ended.set()

    async with carrying(OPEN, serve) as (channel, agent):
        await channel.call(Done, {"op": "go"})
        await anyio.wait_all_tasks_blocked()
        assert sum(request["op"] == "tunnel.send" for request in agent.requests) == WINDOW >> 16
        assert not ended.is_set()
        await say(agent, said("taken", count=WINDOW // 2))
        await anyio.wait_all_tasks_blocked()
        assert sum(request["op"] == "tunnel.send" for request in agent.requests) == (WINDOW >> 16) * 3 // 2
        await say(agent, said("closed"))
        with anyio.fail_after(5):
            await ended.wait()


async def test_a_lost_sandbox_is_the_end_of_its_connections() -> None:
    ended = anyio.Event()

    async def serve(stream: ByteStream) -> None:
        try:
            while True:
                await stream.send(b"x")
                await anyio.lowlevel.checkpoint()
        finally:
            ended.set()

    async with carrying(OPEN, serve) as (channel, _):
        await channel.call(Done, {"op": "go"})
        channel.lose("the test said so")
        with anyio.fail_after(5):
            await ended.wait()
