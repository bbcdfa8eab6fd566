"""Choose the lines of a file to show, exactly as they are, and say what is not shown. Pure."""

SHOWN = 30_000


def select_lines(path: str, content: bytes, start: int | None, end: int | None) -> str:
    """Return the wanted lines (from 1, inclusive) of a file; a last line in brackets tells of anything missing."""
    if b"\0" in content:
        return f"[{path} is a binary file of {len(content)} bytes]"
    if not content:
        return f"[{path} is empty]"
    lines = content.decode(errors="replace").split("\n")
    total = len(lines) if lines[-1] else len(lines) - 1
    first = start or 1
    last = min(end or total, total)
    if first > last:
        return f"[{path} has {total} lines; none from {first} to {end or total}]"
    wanted = "\n".join(lines[first - 1 : last]) + ("\n" if last < len(lines) else "")
    shown, notes = _bounded(wanted, first)
    if not notes and (first > 1 or last < total):
        notes = [f"lines {first}-{last} of {total}"]
    notes += _encoding_note(content)
    separator = "" if shown.endswith("\n") else "\n"
    return f"{shown}{separator}[{'; '.join(notes)}]" if notes else shown


def _bounded(wanted: str, first: int) -> tuple[str, list[str]]:
    if len(wanted) <= SHOWN:
        return wanted, []
    shown = wanted[: wanted.rfind("\n", 0, SHOWN) + 1]
    if not shown:
        return wanted[:SHOWN], [f"line {first} is longer than {SHOWN} characters and was cut"]
    following = first + shown.count("\n")
    return shown, [f"cut after line {following - 1}; go on with start_line {following}"]


def _encoding_note(content: bytes) -> list[str]:
    try:
        content.decode()
    except UnicodeDecodeError:
        return ["not UTF-8: undecodable bytes are shown as \N{REPLACEMENT CHARACTER}"]
    return []
