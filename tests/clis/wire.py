"""A lenient HTTP server for command-line clients: any header, server-sent events, and every way to break off."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.loopback.brain import Brain
from tests.loopback.wire import LoggedRequest


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


Reply = Whole | Stream | Reset
# A protocol answers one request; None stands for a path it does not know.
Protocol = Callable[[LoggedRequest, Brain], Reply | None]


class CommandLineServer:
    """A running server. `url` has no path, `paid` are the requests that asked a model to generate."""

    def __init__(self, protocol: Protocol, brain: Brain) -> None:
        self.brain = brain
        self.log: list[LoggedRequest] = []
        self.paid: list[LoggedRequest] = []
        self.hanging = threading.Event()
        self.disconnected = threading.Event()
        self._protocol = protocol
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler, self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def respond(self, request: LoggedRequest) -> Reply:
        """Log a request and answer it; one at a time, so that a brain may keep notes."""
        with self._lock:
            self.log.append(request)
            reply = self._protocol(request, self._noted(request))
            return Whole({"error": {"message": "no such path"}}, 404) if reply is None else reply

    def _noted(self, request: LoggedRequest) -> Brain:
        """Return the brain; asking it makes the request a paid one."""

        def asked(conversation: Any) -> Any:
            self.paid.append(request)
            return self.brain(conversation)

        return asked

    def wait_for_disconnect(self, connection: socket.socket) -> None:
        """Say nothing more until the client goes away."""
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

    @contextmanager
    def running(self) -> Iterator["CommandLineServer"]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type["_Handler"], owner: CommandLineServer) -> None:
        super().__init__(address, handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._answer(None)

    do_HEAD = do_GET  # noqa: N815 - the name the standard library looks for

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            self._answer(json.loads(body))
        except ValueError:
            self._answer(None)

    def _answer(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.owner.respond(LoggedRequest(self.command, self.path, headers, body))
        try:
            match reply:
                case Whole():
                    self._whole(reply)
                case Stream():
                    self._stream(reply)
                case Reset():
                    self._reset()
        except OSError:
            self.server.owner.disconnected.set()

    def _whole(self, reply: Whole) -> None:
        content = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self, reply: Stream) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for name, data in reply.events[: reply.keep]:
            text = (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n"
            self._chunk(text.encode())
        if reply.hang:
            self.server.owner.wait_for_disconnect(self.connection)
            self.close_connection = True
        else:
            self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the log is `CommandLineServer.log`."""
