"""Makes a ticket's id valid: lower case, safe in a branch name, at most sixty characters. Pure."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 60


def valid_id(text: str) -> str:
    """Return the text as an id that git takes as part of a branch name; empty when nothing is left of it."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    safe = re.sub(r"[^a-z0-9._-]+", "-", ascii_text)
    safe = re.sub(r"-*\.[.-]*", ".", safe)  # git forbids two dots in a row
    safe = safe.strip("-._")[:LONGEST].strip("-._")
    return safe.removesuffix(".lock") + "-lock" if safe.endswith(".lock") else safe


def first_valid_id(candidates: Iterable[str | None]) -> str:
    """Return the id made of the first candidate that leaves one; empty when none does."""
    made = (valid_id(candidate) for candidate in candidates if candidate)
    return next((identifier for identifier in made if identifier), "")
