"""A small HTTP server in a thread: a log of requests, a client's disconnect noticed, connections held open or torn."""

import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Self, TypeVar

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request as it came: `json` is what `raw` says. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any
    raw: bytes = b""


class ThreadServer(ABC, Generic[A]):
    """A running server, whose `answered` says what an answer is. `origin` is its address without a path."""

    def __init__(self, connection: type["Connection[A]"]) -> None:
        self.log: list[LoggedRequest] = []
        self.hanging = threading.Event()
        self.disconnected = threading.Event()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._http: _Http[A] = _Http(("127.0.0.1", 0), connection, self)
        self.origin = f"http://127.0.0.1:{self._http.server_port}"

    @abstractmethod
    def answered(self, request: LoggedRequest) -> A:
        """Return what goes back."""

    @contextmanager
    def running(self) -> Iterator[Self]:
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

    def respond(self, request: LoggedRequest) -> A:
        """Log a request and answer it; one at a time, so that a brain may keep notes."""
        with self._lock:
            self.log.append(request)
            return self.answered(request)

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

    def pause(self, seconds: float) -> bool:
        """Wait between two bytes; True when the server is stopping."""
        return self._stop.wait(seconds)


class _Http(ThreadingHTTPServer, Generic[A]):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], connection: type["Connection[A]"], owner: ThreadServer[A]) -> None:
        super().__init__(address, connection)
        self.owner = owner


class Connection(BaseHTTPRequestHandler, Generic[A]):
    """One client's connection; `send` puts an answer on it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart; the body must not wait for the client's ACK
    server: _Http[A]

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # a client that has seen enough
            super().handle()

    @property
    def owner(self) -> ThreadServer[A]:
        return self.server.owner

    def send(self, answer: A) -> None:
        """Send an answer, or break off."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        self.answer(document, body)

    def answer(self, body: Any, raw: bytes = b"") -> None:
        """Ask the owner and send what it says."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.owner.respond(LoggedRequest(self.command, self.path, headers, body, raw))
        try:
            self.send(answer)
        except OSError:
            self.owner.disconnected.set()

    def whole(
        self, status: int, content: bytes, headers: Mapping[str, str], content_type: str = "application/json"
    ) -> None:
        """Send a whole answer; to a question for the head, without its body."""
        self.begin(status, {"content-type": content_type, "content-length": str(len(content)), **headers})
        if self.command != "HEAD":
            self.wfile.write(content)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def hold(self) -> None:
        """Keep the connection open until the client closes it."""
        self.owner.wait_for_disconnect(self.connection)
        self.close_connection = True

    def tear(self) -> None:
        """Break the connection without a goodbye."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the log is the owner's."""
