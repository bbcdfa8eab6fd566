"""Amounts, durations and identifiers as people read them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from pipeline.surface import Heard, HeardKind

CHARACTERS_PER_TOKEN = 3.6  # of source code; what is shown while a reply arrives is an estimate, and is kept nowhere
ARRIVING: dict[HeardKind, str] = {"thinking": "thinking", "text": "answering", "tool": "writing a tool call"}
CENT_FRACTION = Decimal("0.0001")
MINUTE = 60
HOUR = 3600
DAY = 86_400


def money(cost: Decimal | None) -> str:
    """Return USD with four decimals, or a dash where a price is unknown."""
    return "-" if cost is None else f"${cost.quantize(CENT_FRACTION):,}"


def duration(seconds: float) -> str:
    """Return a duration with its two largest units."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{seconds:.1f} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
    return f"{whole // DAY} d {whole % DAY // HOUR:02} h"


def clock_time(seconds: float) -> str:
    """Return minutes and seconds such as `4:05`, for a column that is drawn again and again."""
    return f"{int(seconds) // MINUTE}:{int(seconds) % MINUTE:02}"


def arriving(heard: Heard) -> str:
    """Return what a model is doing and about how much of it has arrived."""
    tokens = round(heard.characters / CHARACTERS_PER_TOKEN)
    count = f", ~{tokens / 1000:.1f}k tokens" if tokens >= 1000 else f", ~{tokens} tokens" if tokens else ""
    return f"{ARRIVING[heard.kind]}{count}"


def printable(text: str) -> str:
    """Return a text in which only line ends and tabs steer the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)


def one_line(text: str, limit: int = 200) -> str:
    """Return a text as one printable line of at most `limit` characters."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return lines of aligned columns below their heads."""
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "".join(line.rstrip() + "\n" for line in lines)
