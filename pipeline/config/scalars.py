"""What a single written value can mean: a number, a duration, a size. Pure."""

import math
import re
from decimal import Decimal

INTEGER = re.compile(r"[+-]?(0|[1-9][0-9_]*)")
DECIMAL = re.compile(r"[+-]?([0-9][0-9_]*)?\.?[0-9_]*([eE][+-]?[0-9]+)?")
SEXAGESIMAL = re.compile(r"[+-]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
OCTAL = re.compile(r"[+-]?0(o[0-7_]+|[0-9_]+)")
INFINITE = re.compile(r"[+-]?\.?inf(inity|inite)?", re.IGNORECASE)
NOT_A_NUMBER = re.compile(r"\.?nan", re.IGNORECASE)
DURATION = re.compile(r"([+-]?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-zA-Z]*)")
SIZE = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
UNITS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
}  # fmt: skip


def pitfall(text: str) -> tuple[str, str] | None:
    """Say what is wrong with a plain number that YAML readers disagree about, and what to type."""
    if SEXAGESIMAL.fullmatch(text):
        return f"`{text}` is a sexagesimal number to some YAML readers", "quote it, or write a duration such as 20m"
    if OCTAL.fullmatch(text):
        return f"`{text}` is an octal number to some YAML readers", f"write {_without_zeros(text)}, or quote it"
    return None


def integer(text: str) -> int | None:
    """Return the whole number written, `_` allowed; None when it is not one."""
    return int(text.replace("_", "")) if INTEGER.fullmatch(text) else None


def number(text: str) -> Decimal | None:
    """Return the number written; infinity and not-a-number count as numbers, for the range rule to refuse."""
    if INFINITE.fullmatch(text):
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
    if NOT_A_NUMBER.fullmatch(text):
        return Decimal("NaN")
    if not re.search(r"[0-9]", text) or not DECIMAL.fullmatch(text):
        return None
    return Decimal(text.replace("_", ""))


def looks_like_number(text: str) -> bool:
    """Whether a plain text is a number to YAML."""
    return number(text) is not None and not re.fullmatch(r"[+-]?(infinity|infinite|inf|nan)", text, re.IGNORECASE)


def duration(text: str) -> float | None:
    """Return the seconds of `90`, `300s`, `20m` or `2h`; infinity and signs pass, for the range rule to refuse."""
    if INFINITE.fullmatch(text) or NOT_A_NUMBER.fullmatch(text):
        return float(number(text) or math.nan)
    found = DURATION.fullmatch(text)
    if found is None or found[2] not in SECONDS:
        return None
    return float(found[1].replace("_", "")) * SECONDS[found[2]]


def duration_hint(text: str) -> str:
    """Say how a duration is written; where the unit alone was wrong, write it out."""
    found = DURATION.fullmatch(text)
    unit = UNITS.get(found[2].lower()) if found else None
    return f"write {found[1]}{unit}" if found and unit else "write a duration such as 90, 300s, 20m or 2h"


def size(text: str) -> int | None:
    """Return the bytes of `4g`, `512m`, `1048576`."""
    found = SIZE.fullmatch(text)
    return int(Decimal(found[1].replace("_", "")) * BYTES[found[2].lower()]) if found else None


def show_duration(seconds: float) -> str:
    """Write seconds the shortest way that `duration` reads back."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:.15g}s" if seconds != int(seconds) else f"{int(seconds)}s"


def _without_zeros(text: str) -> str:
    return text.lstrip("+-0o_") or "0"
