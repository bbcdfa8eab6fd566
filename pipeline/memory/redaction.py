"""Remove the runner's keys, and whatever is shaped like one, from text that is stored in events or shown."""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
SHORTEST_KEY = 8  # shorter "keys" are words of test set-ups; removing them would garble ordinary text
_SHAPES = re.compile(
    r"""
      (?<![A-Za-z0-9])sk-(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{20,}      # Anthropic, OpenAI, OpenRouter
    | (?<![A-Za-z0-9])AIza[\w-]{35}                                 # Google
    | (?<![A-Za-z0-9])(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,}      # GitHub
    | (?<![A-Za-z0-9])github_pat_\w{50,}
    | (?<![A-Za-z0-9])glpat-[\w-]{20,}                              # GitLab
    | (?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}                # Slack
    | (?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])      # AWS
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<=[Bb]earer[ ])(?=[\w.~+/-]*\d)[\w.~+/-]{20,}=*
    | (?<=://)[^\s/:@]+:[^\s/:@]+(?=@)                              # user:password in an address
    """,
    re.VERBOSE,
)


def redactor(keys: Iterable[str]) -> Callable[[str], str]:
    """Return what replaces these keys (of 8 characters or more) and common key shapes by `[redacted]`."""
    long_enough = {key for key in keys if len(key) >= SHORTEST_KEY}
    spellings = sorted(long_enough | {quote(key, safe="") for key in long_enough}, key=len, reverse=True)
    own = re.compile("|".join(map(re.escape, spellings))) if spellings else None

    def redact(text: str) -> str:
        if own is not None:
            text = own.sub(REDACTED, text)
        return _SHAPES.sub(REDACTED, text)

    return redact


def redact_json(value: Any, redact: Callable[[str], str]) -> Any:
    """Return a JSON value with every string in it redacted; the names of fields stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_json(element, redact) for element in value]
    if isinstance(value, dict):
        return {name: redact_json(element, redact) for name, element in value.items()}
    return value
