"""The host's own network as the proxy uses it: names are resolved once, addresses are dialled as they are."""

import socket
from collections.abc import Mapping
from typing import Protocol

import anyio
from anyio.abc import ByteStream

from sandbox.upstream import UpstreamError, connect_through, upstream

RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 10.0


class UnreachableError(Exception):
    """A name does not resolve, or nobody answers at an address."""


class Network(Protocol):
    """How hosts are found and reached."""

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return a host's addresses.

        :raises UnreachableError: it has none.
        """
        ...

    async def connect(self, address: str, port: int) -> ByteStream:
        """Connect to an address.

        :raises UnreachableError: nobody answers.
        """
        ...

    async def relayed(self, host: str, port: int, *, tls: bool) -> ByteStream | None:
        """Return a connection to a host made by a proxy this machine has to use, which looks the name up itself.

        None where hosts are reached directly.
        :raises UnreachableError: that proxy does not answer or refuses.
        """
        ...

    def is_own(self, address: str) -> bool:
        """Say whether an address belongs to this machine."""
        ...


class HostNetwork:
    """The network of the machine the runner works on; `environ` names the proxy it has to use, if any."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def resolve(self, host: str, port: int) -> list[str]:
        """Ask the machine's resolver; see `Network.resolve`."""
        try:
            with anyio.fail_after(RESOLVE_SECONDS):
                found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise UnreachableError("its name does not resolve") from error
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

    async def connect(self, address: str, port: int) -> ByteStream:
        """Dial; see `Network.connect`."""
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                return await anyio.connect_tcp(address, port)
        except (OSError, TimeoutError) as error:
            raise UnreachableError("it does not answer") from error

    async def relayed(self, host: str, port: int, *, tls: bool) -> ByteStream | None:
        """Connect through this machine's proxy; see `Network.relayed`."""
        proxy = upstream(self._environ, host, tls=tls)
        if proxy is None:
            return None
        try:
            return await connect_through(proxy, host, port)
        except UpstreamError as error:
            raise UnreachableError(str(error)) from error

    def is_own(self, address: str) -> bool:
        """Say whether an address is of this machine: nobody can listen at another's."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))
        except OSError:
            return False
        return True
