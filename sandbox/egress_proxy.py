"""An HTTP proxy that lets through what a policy allows, one request per connection, and notes every decision."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import EndOfStream
from anyio.abc import ByteStream

from sandbox.client_hello import LARGEST_HELLO, FirstMessage, NotTlsError
from sandbox.egress_log import EgressLog
from sandbox.egress_network import Network, UnreachableError
from sandbox.egress_policy import HostError, Policy, is_address, normal_host
from sandbox.egress_request import (
    END_OF_HEAD,
    LARGEST_HEAD,
    TUNNEL_READY,
    BadRequestError,
    Request,
    answer,
    parse,
)

MOST_ADDRESSES = 4
# Records of one byte each need six.
MOST_BEFORE_NAME = 6 * LARGEST_HELLO
UNNAMED = "(no host)"
GONE = (OSError, EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds the proxy waits: for a request's head, for TLS to begin, for a byte, for one after the client ended."""

    head: float = 15
    hello: float = 15
    idle: float = 300
    half_closed: float = 30


class _Passing:
    """Counts what passes, and wakes the watcher of an idle connection."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.ended = False
        self.stirred = anyio.Event()

    def stir(self) -> None:
        self.stirred.set()
        self.stirred = anyio.Event()


class EgressProxy:
    """Serves connections of one sandbox."""

    def __init__(self, policy: Policy, network: Network, log: EgressLog, patience: Patience | None = None) -> None:
        self._policy = policy
        self._network = network
        self._log = log
        self._patience = patience or Patience()

    async def serve(self, client: ByteStream) -> None:
        """Answer the one request of a connection and close it; a broken connection is nobody's error."""
        async with client:
            try:
                await self._answer(client)
            except GONE:
                return

    async def _answer(self, client: ByteStream) -> None:
        try:
            head, rest = await self._head(client)
            request = parse(head)
        except BadRequestError as error:
            self._log.note(UNNAMED, 0, str(error))
            await client.send(answer(error.status, str(error)))
            return
        try:
            server = await self._dialled(request)
        except BadRequestError as error:
            self._log.note(request.host, request.port, str(error))
            await client.send(answer(error.status, f"{request.host}:{request.port} is refused: {error}"))
            return
        async with server:
            await self._through(client, server, request, rest)

    async def _head(self, client: ByteStream) -> tuple[bytes, bytes]:
        """Return a request's head and what came after it."""
        received = b""
        try:
            with anyio.fail_after(self._patience.head):
                while END_OF_HEAD not in received:
                    if len(received) > LARGEST_HEAD:
                        raise BadRequestError(431, "the request's head is too large")
                    received += await client.receive()
        except TimeoutError as error:
            raise BadRequestError(408, "the request did not come in time") from error
        head, _, rest = received.partition(END_OF_HEAD)
        if len(head) > LARGEST_HEAD:
            raise BadRequestError(431, "the request's head is too large")
        return head, rest

    async def _dialled(self, request: Request) -> ByteStream:
        """Return a connection to an address that was judged, out of one look-up of the name."""
        host, port = request.host, request.port
        if refusal := self._policy.refusal(host, port):
            raise BadRequestError(403, refusal)
        try:
            addresses = [host] if is_address(host) else await self._network.resolve(host, port)
            allowed = self._judged(host, addresses[:MOST_ADDRESSES], port)
            for address in allowed[:-1]:
                try:
                    return await self._network.connect(address, port)
                except UnreachableError:
                    continue
            return await self._network.connect(allowed[-1], port)
        except UnreachableError as error:
            raise BadRequestError(502, str(error)) from error

    def _judged(self, host: str, addresses: list[str], port: int) -> list[str]:
        own = {address: self._network.is_own(address) for address in addresses}
        refusals = {each: self._policy.address_refusal(host, each, port, own=own[each]) for each in addresses}
        allowed = [address for address, refusal in refusals.items() if refusal is None]
        if not allowed:
            raise BadRequestError(403, next((text for text in refusals.values() if text), "it has no address"))
        return allowed

    async def _through(self, client: ByteStream, server: ByteStream, request: Request, rest: bytes) -> None:
        first = request.head + rest[: request.body]
        left: int | None = request.body - len(rest[: request.body])
        if request.tunnel:
            await client.send(TUNNEL_READY)
            try:
                first, left = await self._hello(client, request.host, rest), None
            except NotTlsError as error:
                self._log.note(request.host, request.port, str(error))
                return
        passing = _Passing()
        try:
            await self._relay(client, server, passing, first, left)
        finally:
            self._log.note(request.host, request.port, sent=passing.sent, received=passing.received)

    async def _hello(self, client: ByteStream, host: str, received: bytes) -> bytes:
        """Return the bytes TLS begins with, once they name the host the tunnel was asked for."""
        try:
            with anyio.fail_after(self._patience.hello):
                first = FirstMessage()
                name = first.feed(received)
                while name is None:
                    if len(received) > MOST_BEFORE_NAME:
                        raise NotTlsError("the first message of TLS is too large")
                    piece = await client.receive()
                    received += piece
                    name = first.feed(piece)
        except TimeoutError as error:
            raise NotTlsError("TLS did not begin in time") from error
        except EndOfStream as error:
            raise NotTlsError("TLS did not begin") from error
        # An address has no server name (RFC 6066); a name must have one.
        if name == "" and is_address(host):
            return received
        if not _names(name, host):
            raise NotTlsError("TLS asks for another server name" if name else "TLS names no server")
        return received

    async def _relay(
        self, client: ByteStream, server: ByteStream, passing: _Passing, first: bytes, left: int | None
    ) -> None:
        """Pass bytes both ways until the server is done or nothing passes; `left` bounds what the client may add."""
        async with anyio.create_task_group() as tasks:

            async def upwards() -> None:
                whole = await _carry(client, server, partial(self._sent, passing), first, left)
                if left is not None:
                    whole = await _outlast(client)
                if not whole:
                    tasks.cancel_scope.cancel()
                passing.ended = True
                passing.stir()

            async def downwards() -> None:
                await _carry(server, client, partial(self._received, passing), b"", None)
                tasks.cancel_scope.cancel()

            tasks.start_soon(upwards)
            tasks.start_soon(downwards)
            await self._watch(passing)
            tasks.cancel_scope.cancel()

    def _sent(self, passing: _Passing, count: int) -> None:
        passing.sent += count
        passing.stir()

    def _received(self, passing: _Passing, count: int) -> None:
        passing.received += count
        passing.stir()

    async def _watch(self, passing: _Passing) -> None:
        """Return once nothing has passed for too long."""
        while True:
            seconds = self._patience.half_closed if passing.ended else self._patience.idle
            with anyio.move_on_after(seconds) as waiting:
                await passing.stirred.wait()
            if waiting.cancelled_caught:
                return


def _names(name: str, host: str) -> bool:
    try:
        return normal_host(name) == host
    except HostError:
        return False


async def _carry(
    source: ByteStream, target: ByteStream, count: Callable[[int], None], first: bytes, left: int | None
) -> bool:
    """Carry bytes until the source ends, which is passed on, or `left` more have come; return False when it broke."""
    try:
        if first:
            await target.send(first)
            count(len(first))
        while left is None or left > 0:
            piece = await _received(source)
            if not piece:
                await target.send_eof()
                return piece is not None
            piece = piece if left is None else piece[:left]
            left = None if left is None else left - len(piece)
            await target.send(piece)
            count(len(piece))
    except GONE:  # the target takes no more, and may still have something to say
        return True
    return True


async def _received(source: ByteStream) -> bytes | None:
    """Return the next bytes, none at the end, None when the connection broke."""
    try:
        return await source.receive()
    except EndOfStream:
        return b""
    except GONE:
        return None


async def _outlast(client: ByteStream) -> bool:
    """Wait for the end of a client that has said what it may, overhearing a little; return False when it broke."""
    overheard = 0
    while overheard < LARGEST_HEAD:
        piece = await _received(client)
        if not piece:
            return piece is not None
        overheard += len(piece)
    return True
