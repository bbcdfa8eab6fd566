"""A lenient HTTP server for command-line clients: any header, server-sent events, and every way to break off."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any

from tests.loopback.brain import Brain
from tests.loopback.serving import Connection, LoggedRequest, ThreadServer


@dataclass(frozen=True, slots=True)
class Whole:
    """One JSON document."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events, each with its name (empty for none) and data.

    With `keep` only so many are sent; then the connection is closed in good order, or held open with `hang`.
    """

    events: Sequence[tuple[str, Any]]
    keep: int | None = None
    hang: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer: the connection is torn."""


@dataclass(frozen=True, slots=True)
class Piped:
    """What another server says, passed on as it arrives; its connection is closed with ours."""

    source: HTTPResponse


Reply = Whole | Stream | Reset | Piped
# A protocol answers one request; None stands for a path it does not know.
Protocol = Callable[[LoggedRequest, Brain], Reply | None]


class CommandLineServer(ThreadServer[Reply]):
    """A running server. `url` has no path, `paid` are the requests that asked a model to generate."""

    def __init__(self, protocol: Protocol, brain: Brain) -> None:
        super().__init__(_Connection)
        self.brain = brain
        self.paid: list[LoggedRequest] = []
        self._protocol = protocol
        self.url = self.origin

    def answered(self, request: LoggedRequest) -> Reply:
        """Answer in the protocol, if it knows the path."""
        reply = self._protocol(request, self._noted(request))
        return Whole({"error": {"message": "no such path"}}, 404) if reply is None else reply

    def _noted(self, request: LoggedRequest) -> Brain:
        """Return the brain; asking it makes the request a paid one."""

        def asked(conversation: Any) -> Any:
            self.paid.append(request)
            return self.brain(conversation)

        return asked


class _Connection(Connection[Reply]):
    def do_HEAD(self) -> None:  # noqa: N802 - the name the standard library looks for
        self.answer(None)

    def send(self, answer: Reply) -> None:
        match answer:
            case Whole():
                self.whole(answer.status, json.dumps(answer.body).encode(), answer.headers)
            case Stream():
                self._stream(answer)
            case Reset():
                self.tear()
            case Piped():
                self._pipe(answer.source)

    def _stream(self, reply: Stream) -> None:
        self.begin(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for name, data in reply.events[: reply.keep]:
            text = (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n"
            self._chunk(text.encode())
        if reply.hang:
            self.hold()
        else:
            self._chunk(b"")

    def _pipe(self, source: HTTPResponse) -> None:
        with source:
            self.begin(200, {"content-type": source.headers["content-type"], "transfer-encoding": "chunked"})
            while content := source.read1(65_536):
                self._chunk(content)
            self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()
