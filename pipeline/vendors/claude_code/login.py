"""Where Claude Code's login comes from: a long-lived token of the user's, else the access token of their own login.

The file of the login is never copied: it holds a refresh token that is good for one use, and a copy that used it up
would log the user out. An access token lasts some hours; `claude setup-token` makes one that lasts a year.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOKEN_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - the name of a variable
LOGIN_HINT = f"type `claude setup-token` and `export {TOKEN_VARIABLE}=...`, or log in with `claude`"
MARGIN_SECONDS = 60.0


def login_problem(environ: Mapping[str, str], now: float) -> str | None:
    """Return what is wrong with the login, None where a call can be made."""
    if environ.get(TOKEN_VARIABLE, "").strip():
        return None
    found = _credentials(environ)
    if not found:
        return f"{TOKEN_VARIABLE} is empty and there is no login in {_file(environ)}"
    expires = found.get("expiresAt")
    if isinstance(expires, int | float) and expires / 1000 < now + MARGIN_SECONDS:
        return f"the access token in {_file(environ)} has expired; `claude` renews it"
    return None


def access_token(environ: Mapping[str, str]) -> str | None:
    """Return the token of the user's own login, which may have expired."""
    token = _credentials(environ).get("accessToken")
    return token if isinstance(token, str) and token else None


def _file(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude") / ".credentials.json"


def _credentials(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(_file(environ).read_bytes()).get("claudeAiOauth")
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) and found.get("accessToken") else {}
