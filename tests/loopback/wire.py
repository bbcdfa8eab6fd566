"""A small HTTP server in a thread: a log of requests, a client's disconnect noticed, and every way to break off."""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from tests.loopback.brain import Brain, Fault, Say
from tests.loopback.tokens import PrefixCache

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request as it came: `json` is what `raw` says. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any
    raw: bytes = b""


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


class LoopbackServer:
    """A running server. `url` is the base_url as the SDK takes it; `connections` counts sockets accepted."""

    def __init__(self, dialect: Dialect, brain: Brain) -> None:
        self.log: list[LoggedRequest] = []
        self.rejections: list[Rejected] = []
        self.brain = brain
        self.disconnected = threading.Event()
        self.hanging = threading.Event()
        self._dialect = dialect
        self._cache = PrefixCache()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler, self)
        self.url = f"http://127.0.0.1:{self._http.server_port}{dialect.suffix}"

    @contextmanager
    def running(self) -> Iterator["LoopbackServer"]:
        """Serve until the block ends; requests still hanging are let go."""
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self.close()
            thread.join()

    def close(self) -> None:
        """Listen no more: further connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    @property
    def models(self) -> list[str]:
        """The models asked to generate, in order."""
        asked = (each for each in self.log if each.method == "POST")
        return [_model(each) for each in asked if "count" not in each.path and "input_tokens" not in each.path]

    def respond(self, request: LoggedRequest) -> Answer:
        """Log a request and answer it; one at a time, so that a brain may keep notes."""
        with self._lock:
            self.log.append(request)
            try:
                return self._dialect.answer(request, self.brain, self._cache)
            except Rejected as no:
                self.rejections.append(no)
                return Answer(no.status, no.body, no.headers)

    def wait_for_disconnect(self, connection: socket.socket) -> None:
        """Say nothing until the client goes away."""
        self.hanging.set()
        connection.settimeout(0.01)
        while not self._stop.is_set():
            try:
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.disconnected.set()

    def pause(self, seconds: float) -> bool:
        """Wait between two bytes; True when the server is stopping."""
        return self._stop.wait(seconds)


def error_answer(say: Say, body: Any) -> Answer:
    """Return a scripted HTTP error in the vendor's words."""
    return Answer(say.status, body if say.body is None else say.body, say.headers, say.fault)


def _model(request: LoggedRequest) -> str:
    named = request.json.get("model") if isinstance(request.json, dict) else None
    return named or request.path.rpartition("/models/")[2].partition(":")[0]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type["_Handler"], loopback: LoopbackServer) -> None:
        super().__init__(address, handler)
        self.loopback = loopback


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart; the body must not wait for the client's ACK
    server: _Http

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # a client that has seen enough
            super().handle()

    def do_GET(self) -> None:
        self._take("GET")

    def do_POST(self) -> None:
        self._take("POST")

    def _take(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.loopback.respond(LoggedRequest(method, self.path, headers, document, body))
        try:
            self._send(answer)
        except OSError:
            self.server.loopback.disconnected.set()

    def _send(self, answer: Answer) -> None:
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
                self._whole(answer, content, "application/json")
            case "reset":
                self._reset()
            case "hang":
                self.server.loopback.wait_for_disconnect(self.connection)
                self.close_connection = True
            case "trickle":
                self._trickle(answer, streamed or content)
            case "stream_open":
                assert answer.stream is not None, "only a streamed reply can stay open"
                self._events(answer, b"".join(answer.stream.events), ends=False)
                self.server.loopback.wait_for_disconnect(self.connection)
                self.close_connection = True
            case "stream_cut" | "stream_eof" | "stream_error" | "stream_garbage" | "stream_reset" | "stream_stall":
                assert answer.stream is not None, "only a streamed reply breaks off like that"
                self._broken(answer, answer.stream, answer.fault)
            case fault:
                self._whole(answer, *wrong[fault])

    def _whole(self, answer: Answer, content: bytes, content_type: str) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _events(self, answer: Answer, content: bytes, *, ends: bool = True) -> None:
        """Send events in chunks, each its own packet where the answer says how long it may be."""
        self.send_response(answer.status)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
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
            self.server.loopback.wait_for_disconnect(self.connection)
        elif fault == "stream_reset":
            self._reset()

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _trickle(self, answer: Answer, content: bytes) -> None:
        """Send a little now and then: no phase of the client's ever times out."""
        self.send_response(answer.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.server.loopback.hanging.set()
        step = answer.piece or 1
        for at in range(0, len(content), step):
            if self.server.loopback.pause(0.02):
                return
            self.wfile.write(content[at : at + step])

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the log is `LoopbackServer.log`."""
