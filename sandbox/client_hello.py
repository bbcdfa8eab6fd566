"""Reads the server name a TLS client asks for from its first message, which is not encrypted. Pure."""

import struct

HANDSHAKE_RECORD, CLIENT_HELLO = 22, 1
SERVER_NAME, ENCRYPTED_HELLO = 0, 0xFE0D
HOST_NAME = 0
LARGEST_RECORD = 1 << 14
LARGEST_HELLO = 32 << 10


class NotTlsError(Exception):
    """The bytes are no first message of TLS, or one that hides or doubles the name."""


class _Reader:
    """Takes fields off the front of bytes."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def __bool__(self) -> bool:
        return bool(self._left)

    def take(self, count: int) -> bytes:
        taken, self._left = self._left[:count], self._left[count:]
        if len(taken) < count:
            raise NotTlsError("a field is cut short")
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def block(self, width: int) -> "_Reader":
        return _Reader(self.take(self.number(width)))

    def rest(self) -> bytes:
        return self._left


def server_name(received: bytes) -> str | None:
    """Return the name asked for, an empty one where none is; None while the message is not complete.

    The message may come in any number of records, and those in any number of packets.
    :raises NotTlsError: it cannot become one, or is larger than any real one.
    """
    message = _handshake(received)
    if message is None:
        return None
    reader = _Reader(message)
    reader.take(2 + 32)  # version and random
    reader.block(1)  # session
    reader.block(2)  # ciphers
    reader.block(1)  # compressions
    return _named(reader.block(2)) if reader else ""


def _handshake(received: bytes) -> bytes | None:
    """Return the body of the first handshake message, put together from its records."""
    message = b""
    while received:
        if received[0] != HANDSHAKE_RECORD or (len(received) > 1 and received[1] != 3):
            raise NotTlsError("only TLS goes through CONNECT")
        if len(received) < 5:
            return None
        (size,) = struct.unpack_from(">H", received, 3)
        if not 0 < size <= LARGEST_RECORD:
            raise NotTlsError("a TLS record of an impossible size")
        message += received[5 : 5 + size]
        if (body := _complete(message)) is not None:
            return body
        received = received[5 + size :]
    return None


def _complete(message: bytes) -> bytes | None:
    if not message:
        return None
    if message[0] != CLIENT_HELLO:
        raise NotTlsError("TLS begins with another message")
    if len(message) < 4:
        return None
    size = int.from_bytes(message[1:4], "big")
    if size > LARGEST_HELLO:
        raise NotTlsError("the first message of TLS is too large")
    return message[4 : 4 + size] if len(message) >= 4 + size else None


def _named(extensions: _Reader) -> str:
    found: dict[int, bytes] = {}
    while extensions:
        kind = extensions.number(2)
        if kind in found:
            raise NotTlsError("a TLS extension comes twice")
        found[kind] = extensions.block(2).rest()
    if ENCRYPTED_HELLO in found:
        raise NotTlsError("the server name is encrypted")
    if SERVER_NAME not in found:
        return ""
    names = _Reader(found[SERVER_NAME]).block(2)
    kind, name = names.number(1), names.block(2).rest()
    if kind != HOST_NAME or names:
        raise NotTlsError("more than one server name")
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as error:
        raise NotTlsError("the server name is not ASCII") from error
