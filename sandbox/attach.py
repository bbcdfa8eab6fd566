"""The engine's attach stream as a wire: takes apart its stdout and stderr, keeps the last of the latter."""

import struct

import anyio
from anyio.abc import ByteStream

from sandbox.frames import ForeignFrameError

MARK = struct.Struct(">BxxxL")
STDOUT, STDERR = 1, 2
KEPT_WORDS = 2000
READ_SIZE = 1 << 18


class AttachWire:
    """A container's stdin and stdout over one connection (tty off)."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._mark = b""
        self._left = 0
        self._kind = STDOUT
        self._words = b""

    async def receive(self) -> bytes:
        """Return the next bytes of stdout, never none."""
        while True:
            if out := self._split(await self._stream.receive(READ_SIZE)):
                return out

    def _split(self, data: bytes) -> bytes:
        out = bytearray()
        at = 0
        while at < len(data):
            if self._left == 0:
                needed = MARK.size - len(self._mark)
                self._mark += data[at : at + needed]
                at += needed
                if len(self._mark) < MARK.size:
                    break
                self._kind, self._left = MARK.unpack(self._mark)
                self._mark = b""
                if self._kind not in {STDOUT, STDERR}:
                    raise ForeignFrameError(f"a piece of stream {self._kind}")
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._kind == STDOUT:
                out += piece
            else:
                self._words = (self._words + piece)[-KEPT_WORDS:]
        return bytes(out)

    async def send(self, item: bytes) -> None:
        """Send bytes to stdin."""
        await self._stream.send(item)

    async def close(self) -> None:
        """End stdin, which ends the agent and with it the container."""
        with anyio.CancelScope(shield=True):
            await self._stream.aclose()

    def last_words(self) -> str:
        """Return the end of stderr as one printable line."""
        text = self._words.decode(errors="replace")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[-400:]
