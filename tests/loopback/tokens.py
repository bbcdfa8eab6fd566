"""Count tokens as a quarter of the bytes, and remember prompts' prefixes as a vendor's cache does."""

import json
from collections.abc import Sequence
from math import ceil
from typing import Any


def size(value: Any) -> int:
    """Return the tokens of a JSON value, or of text."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return ceil(len(text.encode()) / 4)


class PrefixCache:
    """The prompts seen, block by block and per model."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def read_and_write(self, model: str, blocks: Sequence[Any]) -> tuple[int, int]:
        """Return (tokens found in the cache, tokens newly written), and remember this prompt."""
        read = total = 0
        known = True
        prefix = model
        for block in blocks:
            prefix += "\0" + json.dumps(block, sort_keys=True)
            total += size(block)
            known = known and prefix in self._seen
            read = total if known else read
            self._seen.add(prefix)
        return read, total - read
