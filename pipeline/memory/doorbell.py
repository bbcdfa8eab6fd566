"""Wake processes that wait for each other's calls: one datagram socket each in a folder beside the database.

A ring says only that something changed; what changed is in the database. Nothing depends on it but how soon a
waiter looks: where sockets are not to be had it looks now and then.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")  # a way to a folder that is short enough for a socket's name, on Linux


class Doorbell:
    """The bells of all processes that use one database. Listening starts with `listen`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: socket.socket | None = None
        self._name = ""

    def listen(self) -> bool:
        """Put up a bell of our own; return False when there was one already, or none can be had."""
        if self._own is not None:
            return False
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        try:
            own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return False
        own.setblocking(False)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _short(self._folder) as folder:
                own.bind(f"{folder}/{name}")
        except OSError:
            own.close()
            return False
        self._own, self._name = own, name
        return True

    @property
    def number(self) -> int | None:
        """The descriptor of our own bell, readable once somebody rang."""
        return self._own.fileno() if self._own else None

    def quieten(self) -> None:
        """Take back every ring so far."""
        with contextlib.suppress(BlockingIOError):
            while self._own is not None:
                self._own.recv(1)

    def ring(self) -> None:
        """Ring at every process that listens; remove the bells of those that are gone.

        What cannot be reached looks now and then: a call that was charged must never fail because of its ring.
        """
        with contextlib.suppress(OSError):
            self._ring_all([bell.name for bell in self._folder.iterdir() if bell.name != self._name])

    def close(self) -> None:
        """Take our own bell down."""
        if self._own is not None:
            (self._folder / self._name).unlink(missing_ok=True)
            self._own.close()
            self._own = None

    def _ring_all(self, names: Sequence[str]) -> None:
        if not names:
            return
        with _short(self._folder) as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for name in names:
                self._ring_one(sender, folder, name)

    def _ring_one(self, sender: socket.socket, folder: str, name: str) -> None:
        try:
            sender.sendto(b"!", f"{folder}/{name}")
        except ConnectionRefusedError:
            (self._folder / name).unlink(missing_ok=True)
        except OSError:  # full: it rings already; gone: nobody waits
            return


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Yield a name of the folder that is short enough for a socket in it."""
    if not _DESCRIPTORS.is_dir():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_DESCRIPTORS}/{descriptor}"
    finally:
        os.close(descriptor)
