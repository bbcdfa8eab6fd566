"""Replace text that occurs exactly once in a file, and leave every other byte alone. Pure."""

from stages.tool import RefusedError

_LINES_SHOWN = 5


def replace_once(path: str, content: bytes, old: str, new: str) -> tuple[bytes, int]:
    """Return the changed content and the line of the change.

    Models write line feeds; in a file of CRLF lines both texts are taken as CRLF lines.
    :raises RefusedError: `old` is missing, ambiguous, or the same as `new`.
    """
    wanted, replacement = old.encode(), new.encode()
    if _is_crlf(content) or wanted not in content:
        crlf = _with_crlf(wanted), _with_crlf(replacement)
        if crlf[0] in content:
            wanted, replacement = crlf
    _refuse_unless_once(path, content, wanted)
    if wanted == replacement:
        raise RefusedError("edit", f"{path}: old and new are the same; nothing would change")
    at = content.index(wanted)
    return content[:at] + replacement + content[at + len(wanted) :], _line(content, at)


def _refuse_unless_once(path: str, content: bytes, wanted: bytes) -> None:
    places = _occurrences(content, wanted)
    if not places:
        hint = _hint(content, wanted)
        raise RefusedError("edit", f"{path}: old does not occur; copy it exactly as read_file shows it{hint}")
    if len(places) > 1:
        lines = ", ".join(str(_line(content, place)) for place in places[:_LINES_SHOWN])
        more = ", ..." if len(places) > _LINES_SHOWN else ""
        reason = f"{path}: old occurs {len(places)} times (lines {lines}{more}); take in more lines around it"
        raise RefusedError("edit", reason)


def _occurrences(content: bytes, wanted: bytes) -> list[int]:
    # Overlapping ones count too: which of them would be meant is just as open.
    places, at = [], content.find(wanted)
    while at >= 0:
        places.append(at)
        at = content.find(wanted, at + 1)
    return places


def _hint(content: bytes, wanted: bytes) -> str:
    first = next((line.strip() for line in wanted.splitlines() if line.strip()), b"")
    if not first:
        return ""
    lines = [number for number, line in enumerate(content.splitlines(), 1) if line.strip() == first]
    return f" (line {lines[0]} has its first line, but not all of it is the same)" if lines else ""


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def _is_crlf(content: bytes) -> bool:
    return b"\r\n" in content and content.count(b"\n") == content.count(b"\r\n")


def _with_crlf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
