"""The proxy this machine itself has to use, if it has to: connections through it, with its own credentials."""

import base64
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

import anyio
from anyio import EndOfStream
from anyio.abc import ByteStream

ANSWER_SECONDS = 15.0
LARGEST_ANSWER = 16 << 10
END_OF_HEAD = b"\r\n\r\n"


class UpstreamError(Exception):
    """The proxy of this machine does not answer, or says no."""


def upstream(environ: Mapping[str, str], host: str, *, tls: bool) -> SplitResult | None:
    """Return the address of the proxy that this machine's variables name for a host, None for none."""
    if _excepted(environ.get("no_proxy") or environ.get("NO_PROXY") or "", host):
        return None
    for name in ("https_proxy" if tls else "http_proxy", "all_proxy"):
        address = environ.get(name) or environ.get(name.upper()) or ""
        if address:
            return urlsplit(address if "://" in address else f"http://{address}")
    return None


def _excepted(listed: str, host: str) -> bool:
    names = [name.strip().lower().lstrip("*").lstrip(".") for name in listed.split(",")]
    return listed.strip() == "*" or any(name and (host == name or host.endswith(f".{name}")) for name in names)


async def connect_through(proxy: SplitResult, host: str, port: int) -> ByteStream:
    """Return a connection to a host made by the proxy.

    :raises UpstreamError: it does not answer, refuses, or is of a kind not spoken here.
    """
    if proxy.scheme != "http" or not proxy.hostname:
        raise UpstreamError("this machine's proxy is not an http:// one")
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            stream = await anyio.connect_tcp(proxy.hostname, proxy.port or 80)
            try:
                await stream.send(_request(proxy, host, port))
                await _agreed(stream)
            except BaseException:
                await anyio.aclose_forcefully(stream)
                raise
            return stream
    except (OSError, TimeoutError, EndOfStream, anyio.BrokenResourceError) as error:
        raise UpstreamError("this machine's proxy does not answer") from error


def _request(proxy: SplitResult, host: str, port: int) -> bytes:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username is not None:
        words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(words.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _agreed(stream: ByteStream) -> None:
    """Read the proxy's answer to its last byte and no further."""
    head = b""
    while not head.endswith(END_OF_HEAD):
        if len(head) > LARGEST_ANSWER:
            raise UpstreamError("this machine's proxy answers without end")
        head += await stream.receive(1)
    words = head.split(b"\r\n")[0].split(b" ")
    if len(words) < 2 or words[1] != b"200":
        raise UpstreamError("this machine's proxy refuses it")
