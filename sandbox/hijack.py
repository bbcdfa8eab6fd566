"""Takes over a connection to the engine as the raw stream of a container, over a unix socket, TCP or TLS."""

from functools import partial

import anyio
from anyio import to_thread
from anyio.abc import ByteStream

from sandbox.base import SandboxUnavailableError
from sandbox.endpoint import Endpoint

QUERY = "stream=1&stdin=1&stdout=1&stderr=1"
MOST_HEADER_BYTES = 1 << 14
HEADER_SECONDS = 60.0


async def attach(endpoint: Endpoint, version: str, identifier: str) -> ByteStream:
    """Return the stream of a container that has not started yet: its stdin, and its outputs in the engine's pieces.

    :raises SandboxUnavailableError: the engine refuses, or its connection breaks.
    """
    request = (
        f"POST /v{version}/containers/{identifier}/attach?{QUERY} HTTP/1.1\r\nHost: docker\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    )
    try:
        with anyio.fail_after(HEADER_SECONDS):
            stream = await _dial(endpoint)
            try:
                await stream.send(request.encode())
                _judge(await _header(stream))
            except BaseException:
                await anyio.aclose_forcefully(stream)
                raise
    except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        reason = str(error) or type(error).__name__
        raise SandboxUnavailableError(
            f"the engine at {endpoint.url} gave no stream to the container: {reason}"
        ) from error
    return stream


async def _dial(endpoint: Endpoint) -> ByteStream:
    if endpoint.path is not None:
        return await anyio.connect_unix(endpoint.path)
    host, port = endpoint.address
    if endpoint.tls is None:
        return await anyio.connect_tcp(host, port)
    context = await to_thread.run_sync(endpoint.tls.context)
    # The engine closes without TLS's own goodbye, and the frames say by themselves whether they are whole.
    return await partial(anyio.connect_tcp, ssl_context=context, tls_standard_compatible=False)(host, port)


async def _header(stream: ByteStream) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        if len(received) > MOST_HEADER_BYTES:
            raise SandboxUnavailableError("the engine's answer to an attach has no end")
        received += await stream.receive(MOST_HEADER_BYTES)
    return received


def _judge(answer: bytes) -> None:
    """Accept an upgraded connection; nothing can follow its header, for the container has not started.

    :raises SandboxUnavailableError: it is refused.
    """
    header, _, rest = answer.partition(b"\r\n\r\n")
    status = header.split(b" ")[1:2]
    if status not in ([b"101"], [b"200"]) or (rest and status == [b"101"]):
        words = " ".join((header.partition(b"\r\n")[0] + b" " + rest).decode(errors="replace").split())[:300]
        raise SandboxUnavailableError(f"the engine refused the stream to the container: {words}")
