"""What all vendors' adapters do alike on the wire: one bounded connection per call, and foreign errors translated.

SDKs add headers from the environment, keep keys in their exceptions and know no overall deadline; everything
that matters is therefore set on each request here, and no foreign exception leaves.
"""

import json
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx2

from stages.model import ErrorKind, ModelError

T = TypeVar("T")
CONNECT_SECONDS = 10.0
# The longest silence: a reply is not streamed, so the server says nothing until it is whole. Stages have their
# own, shorter deadline around the call; this one only makes sure that nothing hangs for ever.
READ_SECONDS = 1800.0
_TIMEOUT = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": 120.0, "pool": CONNECT_SECONDS}
# Routers drop connections that are silent for some minutes; the probes keep a long generation alive.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), 60)
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
        if hasattr(socket, name)
    ),
]
_BEYOND_CONTEXT = re.compile(
    r"context (length|window|size|limit)|maximum (prompt|input) length|(prompt|input) is too long"
    r"|too many (input )?tokens",
    re.IGNORECASE,
)
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


def http_client(base_url: str, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """Return a client for one vendor that opens one connection per call and sends only known headers.

    A kept connection would be stale after a long tool run, and would have to be closed by somebody. `headers`
    (the key among them) win over whatever an SDK took from the environment.
    """

    async def settle(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in _HEADERS]:
            del request.headers[name]
        request.headers.update(headers)
        request.extensions["timeout"] = dict(_TIMEOUT)

    transport = httpx2.AsyncHTTPTransport(
        proxy=_proxy(httpx2.URL(base_url)),
        limits=httpx2.Limits(max_keepalive_connections=0),
        socket_options=_KEEPALIVE,
    )
    return httpx2.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False, event_hooks={"request": [settle]}
    )


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


async def guarded(call: Callable[[], Awaitable[T]], translate: Callable[[Exception], ModelError], key: str | None) -> T:
    """Await an SDK's call; whatever it raises becomes a ModelError that holds neither the key nor the request.

    :raises ModelError: raised outside the handler, so that no traceback or context leads to the original.
    """
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - only SDK code runs inside, and its exceptions are an open set
        failure = translate(error)
    raise hidden(failure, key)


def hidden(error: ModelError, key: str | None) -> ModelError:
    """Return the error with the key taken out of its message."""
    text = error.message.replace(key, "[key]") if key and len(key) > 3 else error.message
    return ModelError(
        error.kind,
        text,
        retry_after=error.retry_after,
        generated=error.generated,
        input_reported=error.input_reported,
        status=error.status,
        parameter=error.parameter,
    )


def transport_error(error: Exception) -> ModelError | None:
    """Translate what went wrong below HTTP; None for an exception that is not one of those."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.PoolTimeout() | httpx2.ProxyError():
            return ModelError("network", f"cannot connect ({text})", generated=False)
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL() | httpx2.LocalProtocolError():
            return ModelError("bad_request", f"the request cannot be sent ({text}); check base_url", generated=False)
        case httpx2.TimeoutException():
            return ModelError("timeout", f"no answer in time ({text})")
        case httpx2.TransportError() | httpx2.StreamError():
            return ModelError("network", f"the connection broke ({text})")
        case httpx2.HTTPError() | httpx2.CookieConflict():
            return ModelError("protocol", f"not an HTTP answer we can read ({text})")
        case _:
            return None


def garbage(error: Exception) -> ModelError:
    """Return the error for what an SDK raises on an answer that is not the vendor's."""
    return ModelError("protocol", f"the answer cannot be read ({type(error).__name__})")


def refused_before_generation(status: int) -> bool:
    """Say whether an HTTP status means that nothing was generated, hence nothing billed."""
    return 300 <= status < 500 or status in {503, 529}


def kind_of(status: int) -> ErrorKind:
    """Return what an HTTP status means where the vendor says nothing more precise."""
    exact: dict[int, ErrorKind] = {
        401: "auth",
        402: "billing",
        403: "auth",
        408: "timeout",
        413: "too_large",
        429: "rate_limit",
        503: "overloaded",
        529: "overloaded",
    }
    if status in exact:
        return exact[status]
    if status >= 500:
        return "server"
    return "bad_request" if status >= 300 else "protocol"


def beyond_context(said: str) -> bool:
    """Say whether a refused request's message means that it does not fit; servers with no code for it have words."""
    return _BEYOND_CONTEXT.search(said) is not None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a response names, as `retry-after-ms`, seconds or a date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    at, now = _date(text), _date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (at - now).total_seconds()) if at else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def json_object(body: bytes) -> dict[str, Any]:
    """Return a response's JSON object.

    :raises ModelError: kind protocol, with the beginning of what came instead.
    """
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    start = body[:200].decode(errors="replace")
    raise ModelError("protocol", f"the answer is not a JSON object: {start!r}")


def excerpt(text: object) -> str:
    """Return a vendor's message, bounded, on one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= 600 else f"{line[:600]}…"
