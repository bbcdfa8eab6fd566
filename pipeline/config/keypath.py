"""The dotted path of a value, as it is printed and as `--set` takes it; a part with a dot is quoted."""

import re
from collections.abc import Sequence

BARE = re.compile(r"[A-Za-z0-9_-]+")
PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."=]+)')


def child(path: str, part: str | int) -> str:
    """Return the path of `part` inside `path`."""
    text = str(part)
    if not BARE.fullmatch(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        text = f'"{escaped}"'
    return f"{path}.{text}" if path else text


def join(parts: Sequence[str | int]) -> str:
    """Return the path made of `parts`."""
    path = ""
    for part in parts:
        path = child(path, part)
    return path


def parent(path: str) -> str:
    """Return the path of what holds `path`, the empty path at the top."""
    return join(split(path)[0][:-1])


def split(text: str) -> tuple[list[str], str]:
    """Split the path at the start of `text` into its parts and return what follows it.

    :raises ValueError: there is no path there.
    """
    parts: list[str] = []
    position = 0
    while True:
        found = PART.match(text, position)
        if found is None:
            raise ValueError(text)
        quoted = found[1]
        parts.append(found[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        position = found.end()
        if not text.startswith(".", position):
            return parts, text[position:]
        position += 1
