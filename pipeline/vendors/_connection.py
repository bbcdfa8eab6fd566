"""One bounded connection per call to one vendor, with nothing on it that only an SDK or the environment wants.

SDKs add headers from the environment and know no overall deadline; everything that matters is therefore set on each
request here.
"""

import socket
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

import httpx2

from stages.model import ModelError

# Far beyond any reply; a server that sends without end must not fill the memory first.
MOST_BYTES = 64 * 1024 * 1024
CONNECT_SECONDS = 10.0
_TIMEOUT = {"connect": CONNECT_SECONDS, "write": 120.0, "pool": CONNECT_SECONDS}
# Routers drop connections that are silent for some minutes; the probes keep a long generation alive.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), 60)
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
        if hasattr(socket, name)
    ),
]
_HEADERS = frozenset(
    {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "user-agent",
        "x-goog-api-client",
        "x-stainless-raw-response",  # how two of the SDKs remember that the caller wants the answer as it came
    }
)


def http_client(base_url: str, headers: Mapping[str, str], stall: float) -> httpx2.AsyncClient:
    """Return a client for one vendor that opens one connection per call and sends only known headers.

    A kept connection would be stale after a long tool run, and would have to be closed by somebody. `headers`
    (the key among them) win over whatever an SDK took from the environment. `stall` is the longest silence: any byte
    ends it, so a server that only says it is still there keeps a call alive; the stage's deadline bounds the whole.
    No answer, whatever its status, is longer than `MOST_BYTES`.
    """

    async def settle(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in _HEADERS]:
            del request.headers[name]
        request.headers.update(headers)
        request.extensions["timeout"] = _TIMEOUT | {"read": stall}

    transport = httpx2.AsyncHTTPTransport(
        proxy=_proxy(httpx2.URL(base_url)),
        limits=httpx2.Limits(max_keepalive_connections=0),
        socket_options=_KEEPALIVE,
    )
    return httpx2.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [settle], "response": [_bound]},
    )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise ModelError("protocol", f"the answer is longer than {MOST_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


def _proxy(url: httpx2.URL) -> str | None:
    """Return the user's proxy for a vendor's host; a server on this machine is never asked through one."""
    if _is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
