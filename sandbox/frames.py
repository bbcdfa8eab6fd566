"""The frames between the runner and the agent, and the closed set of replies; replies are data, never trusted."""

import json
import struct
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_REPLY_HEADER = 64 << 10
MAX_REPLY_PAYLOAD = 64 << 20
LENGTHS = struct.Struct(">II")

ErrorCode = Literal["missing", "not_file", "outside", "too_large", "no_space", "denied", "bad_name", "busy", "failed"]
Count = Annotated[int, Field(ge=0, le=1 << 60)]
Number = Annotated[int, Field(ge=0, le=1 << 53)]


class ForeignFrameError(Exception):
    """What came is no frame of ours: too large, not JSON, an unknown kind, a field out of bounds."""


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    id: Number


class Hello(_Reply):
    """The agent is up."""

    kind: Literal["hello"]
    git: bool


class Done(_Reply):
    """An operation without an answer succeeded."""

    kind: Literal["done"]


class Content(_Reply):
    """The payload is what was asked for."""

    kind: Literal["content"]


class Refusal(_Reply):
    """An operation could not be done; nothing is wrong with the sandbox."""

    kind: Literal["error"]
    code: ErrorCode
    message: Annotated[str, Field(max_length=600)]


class Exited(_Reply):
    """A command ended; the payload is `out` bytes of its stdout, then `err` bytes of its stderr."""

    kind: Literal["exited"]
    exit_code: Annotated[int, Field(ge=0, le=255)] | None
    seconds: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    timed_out: bool
    oom: bool
    out: Count
    err: Count
    out_bytes: Count
    err_bytes: Count
    stragglers: Count
    disk_full: bool = False


class Opened(_Reply):
    """A command connected to the proxy; `id` numbers the connection, here and below."""

    kind: Literal["opened"]


class Arrived(_Reply):
    """The payload came over a connection."""

    kind: Literal["arrived"]


class Taken(_Reply):
    """A connection's other end took this many of the bytes sent to it."""

    kind: Literal["taken"]
    count: Count


class Finished(_Reply):
    """Nothing more will come over a connection."""

    kind: Literal["finished"]


class Closed(_Reply):
    """A connection is over, in both directions."""

    kind: Literal["closed"]


TunnelFrame = Opened | Arrived | Taken | Finished | Closed
Reply = Hello | Done | Content | Refusal | Exited | TunnelFrame
_replies: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


def encode(header: dict[str, Any], payload: bytes) -> bytes:
    """Return the frame of a request."""
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


class FrameReader:
    """Cuts a stream of bytes into replies."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> list[tuple[Reply, bytes]]:
        """Return the replies that are complete with `data`.

        :raises ForeignFrameError: the stream is not what an agent of ours sends.
        """
        self._received += data
        replies = []
        while (reply := self._take()) is not None:
            replies.append(reply)
        return replies

    def _take(self) -> tuple[Reply, bytes] | None:
        if len(self._received) < LENGTHS.size:
            return None
        header_size, payload_size = LENGTHS.unpack_from(self._received)
        if header_size > MAX_REPLY_HEADER or payload_size > MAX_REPLY_PAYLOAD:
            raise ForeignFrameError(f"a frame of {header_size} + {payload_size} bytes")
        start = LENGTHS.size + header_size
        if len(self._received) < start + payload_size:
            return None
        reply = _parse(bytes(self._received[LENGTHS.size : start]))
        payload = bytes(self._received[start : start + payload_size])
        del self._received[: start + payload_size]
        if isinstance(reply, Exited) and reply.out + reply.err != payload_size:
            raise ForeignFrameError("an exit whose lengths do not add up")
        return reply, payload


def _parse(header: bytes) -> Reply:
    try:
        return _replies.validate_json(header)
    except ValidationError as error:
        raise ForeignFrameError(f"a header with {error.error_count()} faults") from error
