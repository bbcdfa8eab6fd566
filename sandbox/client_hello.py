"""Reads the server name a TLS client asks for from its first message, which is not encrypted. Pure."""

HANDSHAKE_RECORD, CLIENT_HELLO = 22, 1
SERVER_NAME, ENCRYPTED_HELLO = 0, 0xFE0D
HOST_NAME = 0
LARGEST_RECORD = 1 << 14
LARGEST_HELLO = 16 << 10


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


class FirstMessage:
    """Takes the bytes of a connection as they come; each is looked at once, however small the pieces are.

    The message may come in any number of records, and those in any number of packets.
    """

    def __init__(self) -> None:
        self._unread = bytearray()
        self._left_of_record = 0
        self._message = bytearray()

    def feed(self, received: bytes) -> str | None:
        """Return the name asked for, an empty one where none is; None while the message is not complete.

        :raises NotTlsError: it cannot become one, or is larger than any real one.
        """
        self._unread += received
        while self._left_of_record or self._begin_record():
            piece = self._unread[: self._left_of_record]
            if not piece:
                return None
            del self._unread[: len(piece)]
            self._left_of_record -= len(piece)
            self._message += piece
            if (body := _complete(bytes(self._message[:4]), self._message)) is not None:
                return _name_in(body)
        return None

    def _begin_record(self) -> bool:
        head = self._unread[:5]
        if (head and head[0] != HANDSHAKE_RECORD) or (len(head) > 1 and head[1] != 3):
            raise NotTlsError("only TLS goes through CONNECT")
        if len(head) < 5:
            return False
        self._left_of_record = int.from_bytes(head[3:5], "big")
        if not 0 < self._left_of_record <= LARGEST_RECORD:
            raise NotTlsError("a TLS record of an impossible size")
        del self._unread[:5]
        return True


def server_name(received: bytes) -> str | None:
    """Return the name in the first bytes of a connection, as `FirstMessage` does."""
    return FirstMessage().feed(received)


def _complete(head: bytes, message: bytearray) -> bytes | None:
    """Return the body of a handshake message once all of it is there."""
    if head[:1] != bytes([CLIENT_HELLO]):
        raise NotTlsError("TLS begins with another message")
    size = int.from_bytes(head[1:4], "big") if len(head) == 4 else LARGEST_HELLO
    if size > LARGEST_HELLO:
        raise NotTlsError("the first message of TLS is too large")
    return bytes(message[4 : 4 + size]) if len(head) == 4 and len(message) >= 4 + size else None


def _name_in(body: bytes) -> str:
    reader = _Reader(body)
    reader.take(2 + 32)  # version and random
    reader.block(1)  # session
    reader.block(2)  # ciphers
    reader.block(1)  # compressions
    return _named(reader.block(2)) if reader else ""


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
