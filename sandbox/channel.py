"""Calls to the agent of a running sandbox: many at once, each with an id, none that can hang."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
from anyio import CancelScope, EndOfStream, Event, create_task_group, fail_after, get_cancelled_exc_class, move_on_after

from sandbox.base import SandboxLostError
from sandbox.frames import (
    Content,
    Done,
    Exited,
    ForeignFrameError,
    FrameReader,
    Hello,
    Refusal,
    Reply,
    TunnelFrame,
    encode,
)

PING_SECONDS = 15.0
SILENCE_SECONDS = 45.0
KILL_SECONDS = 15.0
HELLO = 0
Expected = TypeVar("Expected", Hello, Done, Content, Exited)
WIRE_ERRORS = (EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class Wire(Protocol):
    """A stream of bytes to and from an agent."""

    async def receive(self) -> bytes:
        """Return what came; raise EndOfStream when nothing more will."""
        ...

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        ...

    def last_words(self) -> str:
        """Return what the agent said outside its frames, for an error message."""
        ...


class Carrier(Protocol):
    """Takes what belongs to connections that commands made, see sandbox.tunnels."""

    def deliver(self, frame: TunnelFrame, payload: bytes) -> None:
        """Take a frame at once.

        :raises ForeignFrameError: it breaks the rules of connections.
        """
        ...


class _Call:
    def __init__(self) -> None:
        self.answered = Event()
        self.reply: Reply | None = None
        self.payload = b""


class RefusedByAgentError(Exception):
    """The agent answered that it cannot do this; `code` is one of the closed set of frames.ErrorCode."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.code = refusal.code


class Channel:
    """The host's end. Use `open_channel`."""

    def __init__(self, wire: Wire, *, silence: float = SILENCE_SECONDS) -> None:
        self._wire = wire
        self._silence = silence
        self._sending = anyio.Lock()
        self._numbers = itertools.count(1)
        self._hello = _Call()
        self._calls: dict[int, _Call] = {HELLO: self._hello}
        self._lost: str | None = None
        self._carrier: Carrier | None = None

    async def hello(self) -> Hello:
        """Wait for the agent's first frame.

        :raises SandboxLostError: something else came, or nothing.
        """
        return (await self._answer(self._hello, Hello))[0]

    async def call(
        self, expected: type[Expected], header: dict[str, Any], payload: bytes = b"", rest: Sequence[bytes] = ()
    ) -> tuple[Expected, bytes]:
        """Ask the agent for something; cancelling kills the command that was asked for.

        `rest` are the pieces of a command's long input, each sent once the one before is taken; there is no
        `payload` then.

        :raises RefusedByAgentError: the agent says no.
        :raises SandboxLostError: the sandbox is gone or talks nonsense.
        """
        number = next(self._numbers)
        call = self._calls[number] = _Call()
        try:
            await self._send({**header, "id": number, **({"more": True} if rest else {})}, payload)
            await self._feed(number, rest)
            return await self._answer(call, expected)
        except get_cancelled_exc_class():
            if expected is Exited:
                await self._kill(number)
            raise

    def carry(self, carrier: Carrier) -> None:
        """Hand frames of connections to a carrier; without one none may come."""
        self._carrier = carrier

    async def post(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send what has no answer.

        :raises SandboxLostError: the sandbox is gone.
        """
        await self._send(dict(header), payload)

    async def _feed(self, job: int, pieces: Sequence[bytes]) -> None:
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            try:
                await self.call(Done, {"op": "feed", "job": job, "last": left == 0}, piece)
            except RefusedByAgentError:
                return  # it has ended, or reads no more; its answer says how

    async def ping(self) -> None:
        """Ask for a sign of life; none within the silence limit means the sandbox is lost."""
        try:
            with fail_after(self._silence):
                await self.call(Done, {"op": "ping"})
        except TimeoutError:
            self.lose(f"the agent said nothing for {self._silence:g} s")

    def lose(self, reason: str) -> SandboxLostError:
        """Declare the sandbox gone: every call that waits ends, none starts any more. Returns the error of all."""
        if self._lost is None:
            words = self._wire.last_words()
            self._lost = f"the sandbox is gone: {reason}" + (f" ({words})" if words else "")
        for call in self._calls.values():
            call.answered.set()
        return SandboxLostError(self._lost)

    async def _answer(self, call: _Call, expected: type[Expected]) -> tuple[Expected, bytes]:
        await call.answered.wait()
        reply = call.reply
        if isinstance(reply, expected):
            return reply, call.payload
        if isinstance(reply, Refusal):
            raise RefusedByAgentError(reply)
        if reply is not None:
            raise self.lose(f"a reply of kind {reply.kind} where {expected.__name__.lower()} was due")
        raise SandboxLostError(self._lost or "the sandbox is gone")

    async def _send(self, header: dict[str, Any], payload: bytes) -> None:
        frame = encode(header, payload)
        # Half a frame would garble every later one, so a frame once begun is sent whole.
        with CancelScope(shield=True), move_on_after(self._silence) as limit:
            async with self._sending:
                self._refuse_if_lost()
                try:
                    await self._wire.send(frame)
                except WIRE_ERRORS as error:
                    self.lose(f"its connection broke ({type(error).__name__})")
        if limit.cancelled_caught:
            self.lose(f"it took nothing for {self._silence:g} s")
        self._refuse_if_lost()

    def _refuse_if_lost(self) -> None:
        if self._lost is not None:
            raise SandboxLostError(self._lost)

    async def _kill(self, number: int) -> None:
        """Kill the process tree of a command and wait until it is dead."""
        with CancelScope(shield=True), move_on_after(KILL_SECONDS):
            try:
                await self.call(Done, {"op": "kill", "job": number})
            except (SandboxLostError, RefusedByAgentError):
                return

    async def pump(self) -> None:
        """Hand every reply to its call until the stream ends; then the sandbox is lost."""
        reader = FrameReader()
        try:
            while True:
                for reply, payload in reader.feed(await self._wire.receive()):
                    self._deliver(reply, payload)
        except WIRE_ERRORS:
            self.lose("its connection ended")
        except ForeignFrameError as error:
            self.lose(f"its agent sent {error}")

    def _deliver(self, reply: Reply, payload: bytes) -> None:
        if isinstance(reply, TunnelFrame):
            if self._carrier is None:
                raise ForeignFrameError("a frame of a connection where none can be")
            self._carrier.deliver(reply, payload)
            return
        call = self._calls.pop(reply.id, None)
        if call is None:
            raise ForeignFrameError(f"an answer to a question {reply.id} nobody asked")
        call.reply, call.payload = reply, payload
        call.answered.set()

    async def keep_awake(self, every: float) -> None:
        """Ping for ever: an agent that hears nothing for a minute ends its container."""
        while self._lost is None:
            await anyio.sleep(every)
            try:
                await self.ping()
            except SandboxLostError:
                return


@asynccontextmanager
async def open_channel(
    wire: Wire, *, ping_every: float = PING_SECONDS, silence: float = SILENCE_SECONDS
) -> AsyncIterator[Channel]:
    """Run a channel over `wire` for the length of the context; times in seconds."""
    channel = Channel(wire, silence=silence)
    failure: BaseException | None = None
    async with create_task_group() as tasks:
        # A cancelled caller still has commands to kill, so what carries its frames is not cancelled with it.
        background = CancelScope(), CancelScope()
        tasks.start_soon(_shielded, background[0], channel.pump)
        tasks.start_soon(_shielded, background[1], partial(channel.keep_awake, ping_every))
        try:
            yield channel
        except get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the group that would wrap it
            failure = error
        finally:
            channel.lose("it was closed")
            for scope in background:
                scope.cancel()
    if failure is not None:
        raise failure


async def _shielded(scope: CancelScope, work: Callable[[], Awaitable[None]]) -> None:
    with scope:
        scope.shield = True
        await work()
