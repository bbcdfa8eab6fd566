"""Passes bytes between two connections until one is done, one breaks, or nothing passes for too long."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio import EndOfStream
from anyio.abc import ByteStream

GONE = (OSError, EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
MOST_OVERHEARD = 16 << 10
Note = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Ends:
    """The two connections, whom to tell how much passes, and the seconds without a byte until it is over.

    `half_closed` counts once the client has ended, `idle` before.
    """

    client: ByteStream
    server: ByteStream
    sent: Note
    received: Note
    idle: float
    half_closed: float


class _Watch:
    """Says when nothing has passed for too long."""

    def __init__(self) -> None:
        self._stirred = anyio.Event()

    def noting(self, note: Note) -> Note:
        """Return a note that is also a sign of life."""

        def noted(count: int) -> None:
            note(count)
            self.stir()

        return noted

    def stir(self) -> None:
        self._stirred.set()
        self._stirred = anyio.Event()

    async def quiet_for(self, seconds: Callable[[], float]) -> None:
        """Return once it has been quiet for as long as that."""
        while True:
            with anyio.move_on_after(seconds()) as waiting:
                await self._stirred.wait()
            if waiting.cancelled_caught:
                return


async def relay(ends: Ends, first: bytes, left: int | None) -> None:
    """Send `first` to the server, then pass bytes both ways; the client may add `left` more, None for any number."""
    watch = _Watch()
    ended = False
    async with anyio.create_task_group() as tasks:

        async def upwards() -> None:
            nonlocal ended
            whole = await _carry(ends.client, ends.server, watch.noting(ends.sent), first, left)
            if left is not None:
                whole = await _outlast(ends.client)
            if not whole:
                tasks.cancel_scope.cancel()
            ended = True
            watch.stir()

        async def downwards() -> None:
            await _carry(ends.server, ends.client, watch.noting(ends.received), b"", None)
            tasks.cancel_scope.cancel()

        tasks.start_soon(upwards)
        tasks.start_soon(downwards)
        await watch.quiet_for(lambda: ends.half_closed if ended else ends.idle)
        tasks.cancel_scope.cancel()


async def _carry(source: ByteStream, target: ByteStream, note: Note, first: bytes, left: int | None) -> bool:
    """Carry bytes until the source ends, which is passed on, or `left` more have come; return False when it broke."""
    try:
        if first:
            await target.send(first)
            note(len(first))
        while left is None or left > 0:
            piece = await _received(source)
            if not piece:
                await target.send_eof()
                return piece is not None
            piece = piece if left is None else piece[:left]
            left = None if left is None else left - len(piece)
            await target.send(piece)
            note(len(piece))
    except GONE:  # the target takes no more, and may still have something to say
        return True
    return True


async def _received(source: ByteStream) -> bytes | None:
    """Return the next bytes, none at the end, None when the connection broke."""
    try:
        return await source.receive()
    except EndOfStream:
        return b""
    except GONE:
        return None


async def _outlast(client: ByteStream) -> bool:
    """Wait for the end of a client that has said what it may, overhearing a little; return False when it broke."""
    overheard = 0
    while overheard < MOST_OVERHEARD:
        piece = await _received(client)
        if not piece:
            return piece is not None
        overheard += len(piece)
    return True
