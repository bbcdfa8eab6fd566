"""Where Gemini CLI's login comes from: an access token in a variable, else a copy of the user's Google login.

Google's refresh tokens serve any number of times, so a copy that renews its access token takes nothing from the user.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOKEN_VARIABLE = "GOOGLE_CLOUD_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
LOGIN_HINT = "start `gemini` once and choose `Login with Google`"


def login_problem(environ: Mapping[str, str], now: float) -> str | None:
    """Return what is wrong with the login, None where a call can be made."""
    if environ.get(TOKEN_VARIABLE, "").strip():
        return None
    found = _login(environ)
    if not found:
        return f"{TOKEN_VARIABLE} is empty and there is no login in {_file(environ)}"
    expires = found.get("expiry_date")
    if not found.get("refresh_token") and isinstance(expires, int | float) and expires / 1000 < now:
        return f"the access token in {_file(environ)} has expired and cannot be renewed"
    return None


def login_copy(environ: Mapping[str, str]) -> str | None:
    """Return the file of the login, None where there is none."""
    found = _login(environ)
    return json.dumps(found) if found else None


def access_token(environ: Mapping[str, str]) -> str | None:
    """Return the token the user's login holds at the moment."""
    token = _login(environ).get("access_token")
    return str(token) if token else None


def _file(environ: Mapping[str, str]) -> Path:
    home = environ.get("GEMINI_CLI_HOME") or environ.get("HOME") or Path.home()
    return Path(home) / ".gemini" / "oauth_creds.json"


def _login(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(_file(environ).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and (found.get("access_token") or found.get("refresh_token")) else {}
