"""Reads what a client asks of an HTTP proxy, strictly, and writes what the server gets to see. Pure."""

import re
from dataclasses import dataclass

from sandbox.egress_policy import HTTP, HostError, normal_host, split_port

LARGEST_HEAD = 16 << 10
MOST_FIELDS = 100
END_OF_HEAD = b"\r\n\r\n"
REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]{1,8000}) HTTP/1\.[01]")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}):[ \t]*((?:[\x21-\x7e\x80-\xff][\x20-\x7e\x80-\xff\t]*)?)")
ABSOLUTE = re.compile(rb"[hH][tT][tT][pP]://([^/?#]*)([/?][^#]*)?")
# Fields that speak of one connection, not of the request; the server's connection is another one.
OF_ONE_CONNECTION = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"host", b"http2-settings"})
Field = tuple[bytes, bytes]


class BadRequestError(Exception):
    """What a client asks for is refused with an HTTP status and a reason, before any host is asked."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A tunnel to a host (`head` is empty), or one plain request: what its server gets, and how long its body is."""

    host: str
    port: int
    head: bytes = b""
    body: int = 0

    @property
    def tunnel(self) -> bool:
        """Say whether the client wants a connection to speak TLS over."""
        return not self.head


def parse(head: bytes) -> Request:
    """Read a request's head, without its final empty line.

    :raises BadRequestError: it is malformed, ambiguous, or nothing this proxy does.
    """
    line, *rest = head.split(b"\r\n")
    parts = REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise BadRequestError(400, "only HTTP proxy requests are understood")
    fields = _fields(rest)
    if parts[1] == b"CONNECT":
        host, port = _authority(parts[2])
        if port is None:
            raise BadRequestError(400, "CONNECT names no port")
        _same_host(fields, host, port, default=None)
        return Request(host, port)
    return _plain(parts[1], parts[2], fields)


def _plain(method: bytes, target: bytes, fields: list[Field]) -> Request:
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequestError(400, "only http:// addresses and CONNECT are understood")
    host, named = _authority(absolute[1])
    port = HTTP if named is None else named
    _same_host(fields, host, port, default=HTTP)
    body = _body_length(fields)
    path = absolute[2] or b"/"
    path = b"/" + path if path.startswith(b"?") else path
    shown = f"[{host}]" if ":" in host else host
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + f"{shown}:{port}".removesuffix(":80").encode()]
    lines += [name + b": " + value for name, value in _passed_on(fields)]
    return Request(host, port, b"\r\n".join([*lines, b"Connection: close", b"", b""]), body)


def _fields(lines: list[bytes]) -> list[Field]:
    if len(lines) > MOST_FIELDS:
        raise BadRequestError(431, f"more than {MOST_FIELDS} header fields")
    fields = []
    for line in lines:
        parts = FIELD.fullmatch(line)
        if parts is None:
            raise BadRequestError(400, "a header field is malformed")
        fields.append((parts[1], parts[2].rstrip(b" \t")))
    return fields


def _values(fields: list[Field], wanted: bytes) -> list[bytes]:
    return [value for name, value in fields if name.lower() == wanted]


def _authority(text: bytes) -> tuple[str, int | None]:
    if b"@" in text:
        raise BadRequestError(400, "a user name in the address is refused")
    try:
        host, port = split_port(text.decode("ascii"))
        return normal_host(host), port
    except (HostError, UnicodeDecodeError) as error:
        raise BadRequestError(400, "the address names no host") from error


def _same_host(fields: list[Field], host: str, port: int, *, default: int | None) -> None:
    """Refuse a Host field that names another server than the request line."""
    values = _values(fields, b"host")
    if len(values) > 1:
        raise BadRequestError(400, "more than one Host field")
    # Clients of HTTP/1.0 name none; then the request line alone counts.
    for value in values:
        named, named_port = _authority(value)
        # Some clients leave the port out of the Host field of CONNECT.
        if named != host or (named_port or default or port) != port:
            raise BadRequestError(400, "the Host field names another server than the request line")


def _body_length(fields: list[Field]) -> int:
    if _values(fields, b"transfer-encoding"):
        raise BadRequestError(411, "a body needs a Content-Length here")
    lengths = _values(fields, b"content-length")
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,15}", lengths[0]):
        raise BadRequestError(400, "the Content-Length is ambiguous")
    return int(lengths[0])


def _passed_on(fields: list[Field]) -> list[Field]:
    named = {word.strip().lower() for value in _values(fields, b"connection") for word in value.split(b",")}
    dropped = (OF_ONE_CONNECTION | named) - {b"content-length"}
    return [(n, value) for n, value in fields if n.lower() not in dropped and not n.lower().startswith(b"proxy-")]


def answer(status: int, reason: str) -> bytes:
    """Return a whole response that says no, to people and to programs."""
    body = f"stagewright: {reason}\n".encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


TUNNEL_READY = b"HTTP/1.1 200 Connection established\r\n\r\n"
