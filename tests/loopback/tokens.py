"""Count tokens as a quarter of the bytes, and remember prompts' prefixes as the vendors' caches do."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

BYTES = 4  # of one token
STEP = 128  # tokens: what is cached without being asked for is cached in whole steps
LEAST = 1_024  # tokens: no shorter prefix is cached
LOOKBACK = 20  # blocks before a breakpoint in which an earlier one is found


def size(value: Any) -> int:
    """Return the tokens of a JSON value, or of text."""
    return ceil(len(_written(value).encode()) / BYTES)


class PrefixCache:
    """The prompts seen, byte for byte and in the order of the wire. `place` is what has a cache of its own."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def read_and_write(self, place: str, blocks: Sequence[Any]) -> tuple[int, int]:
        """Return (tokens found, tokens newly written) where all is cached, in steps, and remember the prompt."""
        text = "".join(map(_written, blocks)).encode()
        ends = range(STEP * BYTES, len(text) + 1, STEP * BYTES)
        digests = _chained(place, [text[end - STEP * BYTES : end] for end in ends])
        known = kept = 0
        for number, digest in enumerate(digests, 1):
            kept = number * STEP
            known = kept if digest in self._seen else known
            self._seen.add(digest)
        read, total = (tokens if tokens >= LEAST else 0 for tokens in (known, kept))
        return read, total - read

    def at_breakpoints(self, place: str, blocks: Sequence[tuple[Any, bool]]) -> tuple[int, int]:
        """Return the same where only what ends at a marked block is cached; each block comes with its mark."""
        digests = list(_chained(place, [_written(block).encode() for block, _ in blocks]))
        ends: list[int] = []
        for block, _ in blocks:
            ends.append(size(block) + (ends[-1] if ends else 0))
        marked = [at for at, (_, mark) in enumerate(blocks) if mark and ends[at] >= LEAST]
        looked = (at for mark in marked for at in range(mark, max(-1, mark - LOOKBACK), -1))
        read = max((ends[at] for at in looked if digests[at] in self._seen), default=0)
        self._seen |= {digests[at] for at in marked}
        return read, max(0, max((ends[at] for at in marked), default=0) - read)


def _chained(place: str, parts: Sequence[bytes]) -> Iterator[str]:
    """Yield a digest for each part, of everything up to it."""
    running = hashlib.sha256(place.encode())
    for part in parts:
        running.update(hashlib.sha256(part).digest())
        yield running.hexdigest()


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
