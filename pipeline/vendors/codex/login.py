"""Where Codex's login comes from: the user's `auth.json`, handed over without what could renew it.

A refresh token is good for one use, and a copy that used it up would log the user out; so the copy has none, and is
marked as fresh, so that the program does not try. The access token lasts some days; any use of `codex` renews it.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOGIN_HINT = "log in with `codex login`"
MARGIN_SECONDS = 60.0


def login_problem(environ: Mapping[str, str], now: float) -> str | None:
    """Return what is wrong with the login, None where a call can be made."""
    document = _document(environ)
    if _tokens(document) is None:
        if document.get("OPENAI_API_KEY"):
            return f"{_file(environ)} holds an API key, which is paid per token; the vendor `openai` takes one"
        return f"there is no login in {_file(environ)}"
    expires = _expiry(str(document["tokens"]["access_token"]))
    if expires is not None and expires < now + MARGIN_SECONDS:
        return f"the access token in {_file(environ)} has expired; `codex` renews it when it is used"
    return None


def login_copy(environ: Mapping[str, str], now: datetime) -> str | None:
    """Return the `auth.json` to hand over, None where there is no login by subscription."""
    document = _document(environ)
    tokens = _tokens(document)
    if tokens is None:
        return None
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    copied = {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {**tokens, "refresh_token": ""},
        "last_refresh": at,
    }
    return json.dumps(copied)


def access_token(environ: Mapping[str, str]) -> str | None:
    """Return the token that calls are made with."""
    tokens = _tokens(_document(environ))
    return str(tokens["access_token"]) if tokens else None


def _file(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("CODEX_HOME") or home / ".codex") / "auth.json"


def _document(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(_file(environ).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _tokens(document: Mapping[str, Any]) -> dict[str, Any] | None:
    tokens = document.get("tokens")
    return tokens if isinstance(tokens, dict) and tokens.get("access_token") else None


def _expiry(token: str) -> float | None:
    """Return when a token says that it ends; one we cannot read is left to the vendor to judge."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None
