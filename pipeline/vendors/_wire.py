"""What all vendors' adapters do alike with an answer: it is read in bounds, and no foreign exception leaves.

SDKs keep keys and requests in their exceptions; what is raised here has neither.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import httpx2

from pipeline.surface import Binding
from stages.model import ErrorKind, ModelError

T = TypeVar("T")
_CUT = "…"  # where an excerpt ends early
_BEYOND_CONTEXT = re.compile(
    r"context (length|window|size|limit)|maximum (prompt|input) length|(prompt|input) is too long"
    r"|too many (input )?tokens",
    re.IGNORECASE,
)


class Begun(Protocol):
    """What is known of a reply that has begun to arrive."""

    began: bool
    input_reported: tuple[int, int] | None


async def guarded(
    call: Callable[[], Awaitable[T]],
    translate: Callable[[Exception], ModelError],
    binding: Binding,
    begun: Begun | None = None,
) -> T:
    """Await an SDK's call; whatever it raises becomes a ModelError that holds neither the key nor the request.

    A reply that had `begun` may be billed, whatever the failure is called.

    :raises ModelError: raised outside the handler, so that no traceback or context leads to the original.
    """
    try:
        return await call()
    except ModelError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - only SDK code runs inside, and its exceptions are an open set
        failure = _silence(error, binding) or _translated(error, translate)
    if begun is not None and begun.began:
        failure.generated = True
        failure.input_reported = failure.input_reported or begun.input_reported
    raise hidden(failure, binding.api_key)


def _translated(error: Exception, translate: Callable[[Exception], ModelError]) -> ModelError:
    try:
        return translate(error)
    except Exception:  # noqa: BLE001 - it looks into what a server sent, where anything may have any type
        return garbage(error)


def _silence(error: Exception, binding: Binding) -> ModelError | None:
    """Return the error for a server that went silent, which two of the SDKs wrap."""
    if not isinstance(error, httpx2.ReadTimeout) and not isinstance(error.__cause__, httpx2.ReadTimeout):
        return None
    return ModelError("timeout", f"no bytes for {binding.stall:g} s ({binding.stall_key})")


def hidden(error: ModelError, key: str | None) -> ModelError:
    """Return the error with the key taken out of its message, and the beginning of one that an excerpt cut."""
    text = error.message.replace(key, "[key]") if key and len(key) > 3 else error.message
    for length in range(len(key or "") - 1, 3, -1):
        text = text.replace(f"{str(key)[:length]}{_CUT}", f"[key]{_CUT}")
    return ModelError(
        error.kind,
        text,
        retry_after=error.retry_after,
        generated=error.generated,
        input_reported=error.input_reported,
        status=error.status,
        parameter=error.parameter,
        refusal=error.refusal,
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
    except (ValueError, OverflowError):
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
    start = excerpt(body[:1_000].decode(errors="replace"), 200)
    raise ModelError("protocol", f"the answer is not a JSON object: {start!r}")


def excerpt(text: object, most: int = 600) -> str:
    """Return a vendor's message, bounded, on one line, without what drives a terminal."""
    line = "".join(letter for letter in " ".join(str(text).split()) if letter.isprintable())
    return line if len(line) <= most else f"{line[:most]}{_CUT}"
