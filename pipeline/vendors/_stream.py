"""A streamed reply put together into the document that would have come whole, while it is listened to."""

import json
from collections.abc import Callable
from typing import Any, Protocol

import httpx2

from pipeline.surface import Binding, Heard, HeardKind
from pipeline.vendors._connection import MOST_BYTES
from pipeline.vendors._events import Event, EventDecoder
from pipeline.vendors._halves import joined
from pipeline.vendors._wire import Begun, excerpt, json_object
from stages.model import ModelError

LAST = "[DONE]"
Piece = dict[str, Any]
Told = tuple[HeardKind, int]


class Assembly(Begun, Protocol):
    """The reply of one protocol as far as it has come. `ended` is set by the last event the protocol knows."""

    ended: bool

    def take(self, piece: Piece) -> Told | None:
        """Add one piece; return what kind of output it holds and how many characters.

        :raises ModelError: the failure that the vendor reports in the middle.
        """
        ...

    def whole(self) -> Piece:
        """Return the document of a reply that is complete.

        :raises ModelError: kind protocol where its end is missing.
        """
        ...


class Listener:
    """Listens to one answer: events, or a plain document of a server that does not stream."""

    def __init__(self, assembly: Assembly, progress: Callable[[Heard], None] | None = None) -> None:
        self._assembly = assembly
        self._progress = progress
        self._decoder = EventDecoder()
        self._plain: bool | None = None
        self._body: list[bytes] = []
        self._bytes = 0
        self._characters = 0

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once nothing more need be read."""
        self._bytes += len(chunk)
        if self._bytes > MOST_BYTES:
            raise ModelError("protocol", f"the answer is longer than {MOST_BYTES} bytes")
        if self._plain is None:
            chunk = chunk.lstrip(b"\xef\xbb\xbf \t\r\n")
            self._plain = chunk[:1] in (b"{", b"[", b"<") if chunk else None
        if self._plain:
            self._body.append(chunk)
            return False
        return any(self._hear(event) for event in self._decoder.feed(chunk))

    def document(self) -> Piece:
        """Return the reply after its last byte.

        :raises ModelError: kind protocol where it is not whole.
        """
        if self._plain is not False:
            return json_object(b"".join(self._body))
        if not self._assembly.ended:
            for event in self._decoder.close():
                self._hear(event)
        return joined(self._assembly.whole())

    def _hear(self, event: Event) -> bool:
        if self._assembly.ended or not event.data:
            return self._assembly.ended
        if event.data.startswith(LAST):
            return True
        told = self._assembly.take(_piece(event))
        if told is not None and self._progress is not None:
            self._characters += told[1]
            self._progress(Heard(told[0], self._characters))
        return self._assembly.ended


async def received(response: httpx2.Response, assembly: Assembly, binding: Binding) -> Piece:
    """Read an answer to its end and return its document.

    :raises ModelError: a failure inside the answer, or kind protocol where it is no whole reply.
    """
    listener = Listener(assembly, binding.progress)
    async for chunk in response.aiter_bytes():
        if listener.feed(chunk):
            break
    return listener.document()


def cut_off() -> ModelError:
    """Return the error for a stream without its end."""
    return ModelError("protocol", "the stream ended before the reply did")


def _piece(event: Event) -> Piece:
    try:
        piece = json.loads(event.data)
    except ValueError:
        piece = None
    if not isinstance(piece, dict):
        raise ModelError(
            "protocol", f"a piece of the stream is not a JSON object: {excerpt(event.data[:1_000], 200)!r}"
        )
    if event.name == "error" and "error" not in piece:
        return {"type": "error", "error": piece}
    return piece
