"""A small HTTP server in a thread: a log of requests, a client's disconnect noticed, and every way to break off."""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
class Answer:
    """What goes back, and how it breaks."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None


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
        wrong: dict[Fault, tuple[bytes, str]] = {
            "html": (b"<!doctype html><title>Sign in</title>", "text/html"),
            "empty": (b"", "application/json"),
            "foreign_json": (b'{"hello": "world"}', "application/json"),
            "truncated_json": (content[: len(content) // 2], "application/json"),
        }
        match answer.fault:
            case None:
                self._whole(answer, content, "application/json")
            case "reset":
                self._reset()
            case "hang":
                self.server.loopback.wait_for_disconnect(self.connection)
                self.close_connection = True
            case "trickle":
                self._trickle(answer, content)
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

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _trickle(self, answer: Answer, content: bytes) -> None:
        """Send a byte now and then: no phase of the client's ever times out."""
        self.send_response(answer.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.server.loopback.hanging.set()
        for byte in content:
            if self.server.loopback.pause(0.02):
                return
            self.wfile.write(bytes([byte]))

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the log is `LoopbackServer.log`."""
