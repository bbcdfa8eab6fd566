"""A TLS door to a unix socket, for as long as a context lasts."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

CHUNK = 1 << 16


@contextmanager
def relay(target: str, certificates: Path) -> Iterator[int]:
    """Yield the port of localhost that leads to `target`, for clients that `certificates`/ca.pem knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(str(certificates / "cert.pem"), str(certificates / "key.pem"))
    workers: list[threading.Thread] = []
    with socket.create_server(("localhost", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = server.accept()
                    worker = threading.Thread(target=_carry, args=(context, plain, target))
                    workers.append(worker)
                    worker.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *workers):
                thread.join()


def _carry(context: ssl.SSLContext, plain: socket.socket, target: str) -> None:
    with (
        plain,
        suppress(OSError),
        context.wrap_socket(plain, server_side=True) as near,
        socket.socket(socket.AF_UNIX) as far,
        DefaultSelector() as selector,
    ):
        far.connect(target)
        selector.register(near, EVENT_READ, far)
        selector.register(far, EVENT_READ, near)
        while _moved(selector):
            pass


def _moved(selector: DefaultSelector) -> bool:
    """Carry on what has come; False once one side has ended."""
    for key, _ in selector.select():
        source, sink = key.fileobj, key.data
        assert isinstance(source, socket.socket)
        data = source.recv(CHUNK)
        if not data:
            return False
        # What TLS has decrypted already no selector sees.
        while isinstance(source, ssl.SSLSocket) and source.pending():
            data += source.recv(CHUNK)
        sink.sendall(data)
    return True
