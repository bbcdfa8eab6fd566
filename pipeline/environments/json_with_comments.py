"""Reads JSON that has comments and trailing commas."""

import json
import re
from typing import Any

STRING = r'"(?:\\.|[^"\\\n])*"'
COMMENT = re.compile(rf"(?P<kept>{STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
TRAILING_COMMA = re.compile(rf"(?P<kept>{STRING})|,(?=\s*[}}\]])")


def read_json(text: str) -> Any:
    """Return the value.

    :raises ValueError: it is none; the message says where.
    """
    plain = TRAILING_COMMA.sub(_blank, COMMENT.sub(_blank, text.removeprefix("\ufeff")))
    try:
        return json.loads(plain)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _blank(found: re.Match[str]) -> str:
    # Blanks and line ends stay, so that an error names the right place.
    return found["kept"] or re.sub(r"[^\n]", " ", found[0])
