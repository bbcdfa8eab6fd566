"""An HTTP proxy that lets through what a policy allows, one request per connection, and notes every decision."""

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
from sandbox.relay import GONE, Ends, relay

MOST_ADDRESSES = 4
# Records of one byte each need six.
MOST_BEFORE_NAME = 6 * LARGEST_HELLO
UNNAMED = "(no host)"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds the proxy waits: for a request's head, for TLS to begin, for a byte, for one after the client ended."""

    head: float = 15
    hello: float = 15
    idle: float = 300
    half_closed: float = 30


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
            allowed = await self._addresses(host, port)
            if (server := await self._network.relayed(host, port, tls=request.tunnel)) is not None:
                return server
            return await self._first_that_answers(allowed, port)
        except UnreachableError as error:
            raise BadRequestError(502, str(error)) from error

    async def _first_that_answers(self, addresses: list[str], port: int) -> ByteStream:
        for address in addresses[:-1]:
            try:
                return await self._network.connect(address, port)
            except UnreachableError:
                continue
        if not addresses:
            raise UnreachableError("its name does not resolve")
        return await self._network.connect(addresses[-1], port)

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses that may be dialled; none where only a proxy of this machine may know the name."""
        try:
            addresses = [host] if is_address(host) else await self._network.resolve(host, port)
        except UnreachableError:
            return []
        return self._judged(host, addresses[:MOST_ADDRESSES], port)

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
        self._log.note(request.host, request.port)
        note = partial(self._log.note, request.host, request.port, connections=0)
        ends = Ends(
            client,
            server,
            sent=lambda count: note(sent=count),
            received=lambda count: note(received=count),
            idle=self._patience.idle,
            half_closed=self._patience.half_closed,
        )
        await relay(ends, first, left)

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


def _names(name: str, host: str) -> bool:
    try:
        return normal_host(name) == host
    except HostError:
        return False
