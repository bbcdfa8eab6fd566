"""A vendor's protocol served to its SDK: a brain answers, strictly, and every way to break off."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.loopback.brain import Brain, Fault, Say
from tests.loopback.serving import Connection, LoggedRequest, ThreadServer
from tests.loopback.tokens import PrefixCache


class Rejected(Exception):  # noqa: N818 - it is the vendor's no, not an error of the server
    """The vendor's own error answer."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply as the vendor streams it: bytes of each event, and what it sends when it fails in the middle.

    `told` is how many of the events say what was asked, before any of the answer.
    """

    events: Sequence[bytes]
    failure: bytes
    told: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and how it breaks; in events where there is a stream."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    stream: Stream | None = None
    piece: int | None = None


def event(data: Any, name: str = "", *, end: str = "\n") -> bytes:
    """Return a server-sent event; text is sent in UTF-8, not escaped, but for half a pair."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    named = f"event: {name}{end}" if name else ""
    return f"{named}data: {text}{end}{end}".encode(errors="backslashreplace")


def halves(text: str) -> list[str]:
    """Return a text in up to three pieces."""
    third = max(1, len(text) // 3)
    return [piece for piece in (text[:third], text[third : 2 * third], text[2 * third :]) if piece]


class Dialect(Protocol):
    """One vendor's protocol."""

    suffix: str

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        """Check a request as strictly as the vendor does and answer it.

        :raises Rejected: the vendor would refuse it.
        """
        ...


class LoopbackServer(ThreadServer[Answer]):
    """A running server. `url` is the base_url as the SDK takes it."""

    def __init__(self, dialect: Dialect, brain: Brain) -> None:
        super().__init__(_Connection)
        self.rejections: list[Rejected] = []
        self.brain = brain
        self._dialect = dialect
        self._cache = PrefixCache()
        self.url = self.origin + dialect.suffix

    @property
    def models(self) -> list[str]:
        """The models asked to generate, in order."""
        asked = (each for each in self.log if each.method == "POST")
        return [_model(each) for each in asked if "count" not in each.path and "input_tokens" not in each.path]

    def answered(self, request: LoggedRequest) -> Answer:
        """Answer in the vendor's protocol."""
        try:
            return self._dialect.answer(request, self.brain, self._cache)
        except Rejected as no:
            self.rejections.append(no)
            return Answer(no.status, no.body, no.headers)


def error_answer(say: Say, body: Any) -> Answer:
    """Return a scripted HTTP error in the vendor's words."""
    return Answer(say.status, body if say.body is None else say.body, say.headers, say.fault)


def _model(request: LoggedRequest) -> str:
    named = request.json.get("model") if isinstance(request.json, dict) else None
    return named or request.path.rpartition("/models/")[2].partition(":")[0]


class _Connection(Connection[Answer]):
    def send(self, answer: Answer) -> None:
        content = json.dumps(answer.body).encode()
        streamed = b"".join(answer.stream.events) if answer.stream else None
        wrong: dict[Fault, tuple[bytes, str]] = {
            "html": (b"<!doctype html><title>Sign in</title>", "text/html"),
            "empty": (b"", "application/json"),
            "foreign_json": (b'{"hello": "world"}', "application/json"),
            "truncated_json": (content[: len(content) // 2], "application/json"),
        }
        match answer.fault:
            case None if streamed is not None:
                self._events(answer, streamed)
            case None:
                self.whole(answer.status, content, answer.headers)
            case "reset":
                self.tear()
            case "hang":
                self.hold()
            case "trickle":
                self._trickle(answer, streamed or content)
            case "stream_open":
                assert answer.stream is not None, "only a streamed reply can stay open"
                self._events(answer, b"".join(answer.stream.events), ends=False)
                self.hold()
            case "stream_cut" | "stream_eof" | "stream_error" | "stream_garbage" | "stream_reset" | "stream_stall":
                assert answer.stream is not None, "only a streamed reply breaks off like that"
                self._broken(answer, answer.stream, answer.fault)
            case fault:
                sent, content_type = wrong[fault]
                self.whole(answer.status, sent, answer.headers, content_type)

    def _events(self, answer: Answer, content: bytes, *, ends: bool = True) -> None:
        """Send events in chunks, each its own packet where the answer says how long it may be."""
        head = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        self.begin(answer.status, {**head, **answer.headers})
        step = answer.piece or max(1, len(content))
        for at in range(0, len(content), step):
            chunk = content[at : at + step]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        if ends:
            self.wfile.write(b"0\r\n\r\n")

    def _broken(self, answer: Answer, stream: Stream, fault: Fault) -> None:
        """Send the beginning of a reply, then what the fault says."""
        begun = b"".join(stream.events[: stream.told + 1])
        after = {"stream_error": stream.failure, "stream_garbage": event("{{{"), "stream_eof": b'data: {"ty'}
        self._events(answer, begun + after.get(fault, b""), ends=fault in {"stream_cut", "stream_error"})
        self.close_connection = True
        if fault == "stream_stall":
            self.owner.wait_for_disconnect(self.connection)
        elif fault == "stream_reset":
            self.tear()

    def _trickle(self, answer: Answer, content: bytes) -> None:
        """Send a little now and then: no phase of the client's ever times out."""
        self.begin(answer.status, {"content-type": "application/json", "content-length": str(len(content))})
        self.owner.hanging.set()
        step = answer.piece or 1
        for at in range(0, len(content), step):
            if self.owner.pause(0.02):
                return
            self.wfile.write(content[at : at + step])
