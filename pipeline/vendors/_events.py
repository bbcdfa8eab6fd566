"""Server-sent events out of bytes as they come, wherever the network cut them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `name` is empty where the server gives none."""

    name: str
    data: str


class EventDecoder:
    """Reads one stream. Lines are told apart as bytes: a character cut in two is whole again once its line is."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._after_return = False
        self._name = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that these bytes complete."""
        if self._after_return and chunk.startswith(b"\n"):
            chunk, self._after_return = chunk[1:], False
        if not chunk:
            return
        self._after_return = chunk.endswith(b"\r")
        first, *others = _LINE_END.split(chunk)
        self._line.append(first)
        for other in others:
            yield from self._end_of_line()
            self._line = [other]

    def close(self) -> Iterator[Event]:
        """Yield the event that the end of the stream leaves without its blank line."""
        yield from self._end_of_line()
        self._line = []
        yield from self._end_of_line()

    def _end_of_line(self) -> Iterator[Event]:
        line = b"".join(self._line)
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value
        elif name == b"error":  # what one server writes instead of an event with that name
            self._name, self._data = name, [value]
        elif not line:
            if self._data:
                yield Event(self._name.decode(errors="replace"), b"\n".join(self._data).decode(errors="replace"))
            self._name, self._data = b"", []
