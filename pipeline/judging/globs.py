"""Match repository paths against git-style globs. Pure.

`*`, `?` and `[…]` stay inside one component, `**` spans any number; a pattern without a slash (but at its end)
matches at any depth; a pattern that matches a folder matches everything below it.
"""

import re
from functools import lru_cache


def matches(pattern: str, path: str) -> bool:
    """Tell whether a glob covers a path."""
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    plain = pattern.strip().removeprefix("./")
    anchored = "/" in plain.rstrip("/")
    components = [part for part in plain.split("/") if part]
    if not components:
        return re.compile(r"(?!)") if plain != "/" else re.compile(r".*", re.DOTALL)
    text = "".join(_component(part, last=number == len(components) - 1) for number, part in enumerate(components))
    folder = "/.+" if plain.endswith("/") else "(?:/.+)?"
    return re.compile(f"{'' if anchored else '(?:.+/)?'}{text}{'' if components[-1] == '**' else folder}", re.DOTALL)


def _component(part: str, *, last: bool) -> str:
    if part == "**":
        return ".+" if last else "(?:.+/)?"
    return _translated(part) + ("" if last else "/")


def _translated(part: str) -> str:
    pieces = re.split(r"(\*+|\?|\[[!^]?\]?[^\]]*\])", part)
    return "".join(_piece(piece) for piece in pieces if piece)


def _piece(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        body = piece[1:-1]
        negated = body[0] in "!^"
        inside = (body[1:] if negated else body).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        return f"(?!/)[{'^' if negated else ''}{inside}]"
    return re.escape(piece)
