"""Connections made inside a container, carried over its agent's channel: streams with windows, in bounded memory."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from anyio import BrokenResourceError, CancelScope, EndOfStream, Event
from anyio.abc import ByteStream, TaskGroup

from sandbox.base import SandboxLostError
from sandbox.frames import Arrived, Closed, Finished, ForeignFrameError, Opened, Taken, TunnelFrame

# Both ends know these two: see sandbox/agent.py.
MOST_TUNNELS = 64
WINDOW = 1 << 18
PIECE = 1 << 16


class Post(Protocol):
    """Sends a frame that has no answer."""

    async def __call__(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send it.

        :raises SandboxLostError: the sandbox is gone.
        """
        ...


class Tunnel(ByteStream):
    """The host's end of one connection."""

    def __init__(self, post: Post, number: int) -> None:
        self._post = post
        self._number = number
        self._arrived = bytearray()
        self._room = WINDOW
        self._ended = False
        self._changed = Event()
        self._closing = False
        self.serving = CancelScope()
        self.closed_inside = False

    def deliver(self, frame: TunnelFrame, payload: bytes) -> None:
        """Take what came from inside.

        :raises ForeignFrameError: more than the window allows, or after the end.
        """
        match frame:
            case Arrived():
                self._take_in(payload)
            case Taken():
                self._room += frame.count
                if self._room > WINDOW:
                    raise ForeignFrameError("a connection that took more than it was sent")
            case Finished():
                self._ended = True
            case Closed() | Opened():
                self._ended = self.closed_inside = True
                if not self._arrived:
                    self.serving.cancel()
        self._stir()

    def _take_in(self, payload: bytes) -> None:
        if self._ended or len(self._arrived) + len(payload) > WINDOW:
            raise ForeignFrameError("bytes of a connection that nobody asked for")
        if not self._closing:
            self._arrived += payload

    def _stir(self) -> None:
        self._changed.set()
        self._changed = Event()

    async def receive(self, max_bytes: int = PIECE) -> bytes:
        """Return what came, at least one byte."""
        while not self._arrived:
            if self.closed_inside:
                raise BrokenResourceError
            if self._ended or self._closing:
                raise EndOfStream
            await self._changed.wait()
        piece = bytes(self._arrived[:max_bytes])
        del self._arrived[: len(piece)]
        await self._tell("take", count=len(piece))
        return piece

    async def send(self, item: bytes) -> None:
        """Send all of it, as fast as the other end takes it."""
        left = memoryview(item)
        while left:
            if self.closed_inside or self._closing:
                raise BrokenResourceError
            if self._room == 0:
                await self._changed.wait()
                continue
            piece = left[: min(self._room, PIECE)]
            self._room -= len(piece)
            left = left[len(piece) :]
            await self._tell("send", bytes(piece))

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self._tell("finish")

    async def aclose(self) -> None:
        """Close it, after what was sent has been taken."""
        if not self._closing:
            self._closing = True
            self._arrived.clear()
            await self._tell("close")

    async def _tell(self, what: str, payload: bytes = b"", **fields: int) -> None:
        try:
            await self._post({"op": f"tunnel.{what}", "id": self._number, **fields}, payload)
        except SandboxLostError as error:
            raise BrokenResourceError from error


class Tunnels:
    """Every connection of a container; each is served by a task of its own."""

    def __init__(self, post: Post, tasks: TaskGroup, serve: Callable[[ByteStream], Awaitable[None]]) -> None:
        self._post = post
        self._tasks = tasks
        self._serve = serve
        self._open: dict[int, Tunnel] = {}
        self._last = 0
        self._stopped = False

    def stop(self) -> None:
        """Serve no more connections; what still comes of them is dropped."""
        self._stopped = True

    def deliver(self, frame: TunnelFrame, payload: bytes) -> None:
        """Hand a frame to its connection.

        :raises ForeignFrameError: it belongs to none, or breaks a bound.
        """
        if self._stopped:
            return
        if isinstance(frame, Opened):
            self._admit(frame.id)
            return
        tunnel = self._open.get(frame.id)
        if tunnel is None:
            raise ForeignFrameError(f"a frame of a connection {frame.id} that is not open")
        tunnel.deliver(frame, payload)
        if isinstance(frame, Closed):
            del self._open[frame.id]

    def _admit(self, number: int) -> None:
        if number <= self._last or len(self._open) >= MOST_TUNNELS:
            raise ForeignFrameError(f"a connection {number} out of turn")
        self._last = number
        tunnel = self._open[number] = Tunnel(self._post, number)
        self._tasks.start_soon(self._served, tunnel)

    async def _served(self, tunnel: Tunnel) -> None:
        try:
            # A connection that is over inside has nobody left to serve, once what it sent is passed on.
            with tunnel.serving:
                await self._serve(tunnel)
            await tunnel.aclose()
        except BrokenResourceError:
            # The container is gone, and with it the connection.
            return
