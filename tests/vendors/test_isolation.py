"""What a subscription's program gets to see: its own place, a bare environment, a login it cannot use up."""

import base64
import fcntl
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.loader import surface
from pipeline.vendors import codex, gemini_cli
from pipeline.vendors._environment import scrubbed
from pipeline.vendors._private_place import LOCK, private_place
from pipeline.vendors.claude_code import login as claude_login
from pipeline.vendors.codex import login as codex_login
from pipeline.vendors.gemini_cli import login as gemini_login

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STRAY = """
    ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL ANTHROPIC_CUSTOM_HEADERS CLAUDE_CODE_USE_BEDROCK
    CLAUDE_CODE_OAUTH_TOKEN CLAUDE_CONFIG_DIR OPENAI_API_KEY OPENAI_BASE_URL CODEX_API_KEY CODEX_HOME GEMINI_API_KEY
    GOOGLE_API_KEY GOOGLE_GEMINI_BASE_URL GOOGLE_CLOUD_PROJECT GOOGLE_APPLICATION_CREDENTIALS NODE_OPTIONS
    GOOGLE_GENAI_USE_VERTEXAI GITHUB_TOKEN AWS_SECRET_ACCESS_KEY LD_PRELOAD XDG_CONFIG_HOME
"""
VENDORS = ("claude-code", "codex", "gemini-cli")


def jwt(claims: dict[str, Any]) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.c2ln"


def written(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def problem(vendor: str, environ: dict[str, str], seconds: float = 0) -> str | None:
    program = surface(vendor).program
    assert program is not None
    return program.login(environ, NOW.timestamp() + seconds)


def test_a_place_is_private_empty_and_gone_afterwards(tmp_path: Path) -> None:
    with private_place(tmp_path / "places") as place:
        folder = place.home.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert list(place.work.iterdir()) == []
        assert place.write("a/b.txt", "x").read_text() == "x"
    assert list((tmp_path / "places").iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    for name in ("dead", "living", "not-ours"):
        (tmp_path / name).mkdir()
    (tmp_path / "dead" / LOCK).touch()
    with (tmp_path / "living" / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with private_place(tmp_path):
            assert {path.name for path in tmp_path.iterdir()} >= {"living", "not-ours"}
    assert {path.name for path in tmp_path.iterdir()} == {"living", "not-ours"}


def test_nothing_of_the_environment_decides_who_pays_or_who_is_asked(tmp_path: Path) -> None:
    stray = dict.fromkeys(STRAY.split(), "stray")
    passed = {"PATH": "/bin", "LANG": "C.UTF-8", "HTTPS_PROXY": "http://proxy:1", "NODE_EXTRA_CA_CERTS": "/ca.pem"}
    with private_place(tmp_path) as place:
        seen = scrubbed({**stray, **passed, "HOME": "/home/u"}, place, None)
        assert not set(stray) & set(seen)
        assert {name: seen[name] for name in passed} == passed
        assert (seen["HOME"], seen["TMPDIR"], seen["TZ"]) == (str(place.home), str(place.temporary), "UTC")


def test_a_server_on_this_machine_is_never_asked_through_a_proxy(tmp_path: Path) -> None:
    with private_place(tmp_path) as place:
        environ = {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "example.org"}
        assert scrubbed(environ, place, "http://127.0.0.1:8080/v1")["NO_PROXY"] == "127.0.0.1"
        assert scrubbed(environ, place, "https://gateway.example")["NO_PROXY"] == "example.org"


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_login_is_said_with_the_file_that_was_looked_for(vendor: str, tmp_path: Path) -> None:
    said = problem(vendor, {"HOME": str(tmp_path)})
    assert said is not None
    assert "there is no login in" in said
    assert str(tmp_path) in said


@pytest.mark.parametrize("vendor", ["claude-code", "gemini-cli"])
def test_a_token_in_its_variable_is_a_login(vendor: str, tmp_path: Path) -> None:
    (name,) = surface(vendor).key_variables
    assert problem(vendor, {"HOME": str(tmp_path), name: "token"}) is None


def test_claudes_own_login_counts_until_it_expires(tmp_path: Path) -> None:
    expires = (NOW.timestamp() + 600) * 1000
    oauth = {"accessToken": "sk-ant-oat01-a", "refreshToken": "sk-ant-ort01-r", "expiresAt": expires}
    written(tmp_path / ".claude" / ".credentials.json", {"claudeAiOauth": oauth})
    environ = {"HOME": str(tmp_path)}
    assert problem("claude-code", environ) is None
    assert claude_login.access_token(environ) == "sk-ant-oat01-a"
    assert "has expired; `claude` renews it" in str(problem("claude-code", environ, seconds=900))
    assert problem("claude-code", {"HOME": "/nowhere", "CLAUDE_CONFIG_DIR": str(tmp_path / ".claude")}) is None


def test_codexs_login_is_handed_over_without_what_renews_it(tmp_path: Path) -> None:
    token = jwt({"exp": NOW.timestamp() + 600})
    document = {"tokens": {"id_token": "i", "access_token": token, "refresh_token": "one-use", "account_id": "a"}}
    written(tmp_path / "auth.json", document)
    environ = {"CODEX_HOME": str(tmp_path), "HOME": "/nowhere"}
    assert problem("codex", environ) is None
    copy = codex_login.login_copy(environ, NOW)
    assert copy is not None
    assert "one-use" not in copy
    assert json.loads(copy)["tokens"]["access_token"] == token
    assert json.loads(copy)["last_refresh"] == "2026-11-20T12:00:00Z"
    assert json.loads((tmp_path / "auth.json").read_text()) == document
    assert "has expired" in str(problem("codex", environ, seconds=900))


def test_an_api_key_in_codexs_login_is_no_subscription(tmp_path: Path) -> None:
    written(tmp_path / "auth.json", {"OPENAI_API_KEY": "sk-x", "tokens": None})
    environ = {"CODEX_HOME": str(tmp_path)}
    assert "paid per token; the vendor `openai` takes one" in str(problem("codex", environ))
    assert codex_login.login_copy(environ, NOW) is None


def test_geminis_login_may_renew_itself(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    expired = {"access_token": "ya29.a", "expiry_date": (NOW.timestamp() - 5) * 1000}
    written(tmp_path / ".gemini" / "oauth_creds.json", expired)
    assert "has expired and cannot be renewed" in str(problem("gemini-cli", environ))
    written(tmp_path / ".gemini" / "oauth_creds.json", {**expired, "refresh_token": "1//r"})
    assert problem("gemini-cli", environ) is None
    assert json.loads(str(gemini_login.login_copy(environ)))["refresh_token"] == "1//r"


@pytest.mark.parametrize("content", ["", "[]", '{"claudeAiOauth": 1, "tokens": [], "access_token": ""}', "\0"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_broken_file_is_no_login(vendor: str, content: str, tmp_path: Path) -> None:
    for name in (".claude/.credentials.json", ".codex/auth.json", ".gemini/oauth_creds.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert "there is no login" in str(problem(vendor, {"HOME": str(tmp_path)}))


def test_only_models_a_program_really_serves_are_offered() -> None:
    assert codex.capabilities("gpt-4.1") is None
    assert gemini_cli.capabilities("gemini-3.5-flash") is None
    for vendor in VENDORS:
        offered = surface(vendor)
        assert offered.models
        assert all(offered.capabilities(model) for model in offered.models)
        assert not any(row.counting for model in offered.models if (row := offered.capabilities(model)))
    assert os.environ.get("CODEX_HOME") is None
