"""Keep a streamed answer's JSON on its lines: the SDK takes more characters for line ends than JSON does.

It cuts the stream at U+0085, U+2028 and U+2029 too, which may stand in a JSON string as they are; a reply that quotes
one could not be read. Escaped they mean the same.
"""

import re
from collections.abc import AsyncIterator

import httpx2

_LINE_ENDS = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")
_BEGUN = re.compile(rb"(\xc2|\xe2\x80?)\Z")


async def keep_lines(response: httpx2.Response) -> None:
    """Escape such characters in a response that is about to be read: an event hook of the client."""
    if "content-encoding" not in response.headers and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Escaped(response.stream)


class _Escaped(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = b""
        async for chunk in self._stream:
            seen = held + chunk
            begun = _BEGUN.search(seen)
            held = begun[0] if begun else b""
            yield _LINE_ENDS.sub(_escape, seen[: len(seen) - len(held)])
        if held:
            yield held

    async def aclose(self) -> None:
        await self._stream.aclose()


def _escape(found: re.Match[bytes]) -> bytes:
    return f"\\u{ord(found[0].decode()):04x}".encode()
