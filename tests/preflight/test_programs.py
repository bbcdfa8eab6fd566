"""Preflight looks at the programs of subscription vendors, and asks nobody but the program for its version."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.config.files import SOUND, changed
from tests.preflight.test_preflight import KEYS, found, lines, project

CODEX = changed(SOUND, ("vendor: google", "vendor: codex"), ("model: gemini-3.8-flash", "model: gpt-6.1-sol"))
WHERE = "pipeline.yaml:21:5: stages.reviewer.vendor"


def stand_in(folder: Path, says: str, *, name: str = "codex") -> Path:
    """Write a program that says a version and where it was asked from; more it cannot do."""
    script = folder / "bin" / name
    script.parent.mkdir(exist_ok=True)
    source = f'import os, sys\nassert sys.argv[1:] == ["--version"]\nprint({says!r})\n'
    source += 'assert "OPENAI_API_KEY" not in os.environ\nopen(os.path.join(os.environ["HOME"], "left"), "w").close()\n'
    script.write_text(f"#!{sys.executable} -S\n{source}", encoding="utf-8")
    script.chmod(0o755)
    return script


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Return the variables of a user whose home is the folder, with a stray key."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {**KEYS, "HOME": str(folder), "PATH": path, "OPENAI_API_KEY": "sk-stray", **more}


def log_in(folder: Path) -> None:
    (folder / ".codex").mkdir()
    tokens = {"access_token": "a.b.c", "refresh_token": "r", "id_token": "i"}
    (folder / ".codex" / "auth.json").write_text(json.dumps({"tokens": tokens}), encoding="utf-8")


def test_a_program_that_is_there_known_and_logged_in_is_fine_and_left_nothing(tmp_path: Path) -> None:
    stand_in(tmp_path, "codex-cli 0.169.4")
    log_in(tmp_path)
    assert lines(found(project(tmp_path, CODEX), environ=environ(tmp_path))) == []
    assert not (tmp_path / "left").exists()
    assert list((tmp_path / ".cache" / "stagewright" / "command-lines").iterdir()) == []


def test_a_missing_program_is_named_with_what_to_type(tmp_path: Path) -> None:
    result = found(project(tmp_path, CODEX), environ=environ(tmp_path, PATH="/nowhere"))
    assert lines(result) == [
        (
            f"SW412 {WHERE}: there is no program `codex`, which codex needs; "
            "type `npm install -g @openai/codex`, or name it with vendors.codex.command"
        )
    ]


@pytest.mark.parametrize("version", ["0.168.9", "1.0.0", "2.169.0"])
def test_a_version_nobody_knows_is_refused(version: str, tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"codex-cli {version}")
    log_in(tmp_path)
    assert lines(found(project(tmp_path, CODEX), environ=environ(tmp_path))) == [
        (
            f"SW413 {WHERE}: {program} is {version}, and codex is known to work with 0.169.0 or newer, below 1; "
            "type `npm install -g @openai/codex@0.169.0`"
        )
    ]


def test_a_program_that_says_no_version_is_refused(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "hello")
    (line,) = lines(found(project(tmp_path, CODEX), environ=environ(tmp_path)))
    assert line.startswith(f"SW413 {WHERE}: `{program} --version` says no version but 'hello'; install 0.169.0")


def test_no_login_is_refused_with_how_to_get_one(tmp_path: Path) -> None:
    stand_in(tmp_path, "codex-cli 0.169.0")
    (line,) = lines(found(project(tmp_path, CODEX), environ=environ(tmp_path)))
    assert line == (
        f"SW414 {WHERE}: codex is not logged in: there is no login in {tmp_path}/.codex/auth.json; "
        "log in with `codex login`"
    )


def test_a_named_config_may_name_the_program(tmp_path: Path) -> None:
    stand_in(tmp_path, "codex-cli 0.169.0", name="my-codex")
    log_in(tmp_path)
    folder = project(tmp_path, "vendors: {codex: {command: ../bin/my-codex}}\n" + CODEX)
    named = found(folder, config=Path("pipeline.yaml"), environ=environ(tmp_path))
    assert lines(named) == []
    assert named.settings is not None
    assert named.settings.vendors["codex"].command == str(tmp_path / "bin" / "my-codex")


def test_an_optional_token_needs_no_variable_but_the_login_is_judged(tmp_path: Path) -> None:
    stand_in(tmp_path, "2.1.328 (Claude Code)", name="claude")
    text = changed(SOUND, ("vendor: google", "vendor: claude-code"), ("gemini-3.8-flash", "claude-opus-5-5"))
    folder = project(tmp_path, text)
    assert [each.code for each in found(folder, environ=environ(tmp_path)).problems] == ["SW414"]
    result = found(folder, environ=environ(tmp_path, CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-x"))
    assert lines(result) == []
    assert result.keys["claude-code"] == "sk-ant-oat01-x"


def test_a_look_at_the_config_alone_starts_no_program(tmp_path: Path) -> None:
    folder = project(tmp_path, CODEX)
    assert lines(found(folder, environ=environ(tmp_path, PATH="/nowhere"), config_only=True)) == []


def test_the_envelope_names_the_quota_and_no_price(tmp_path: Path) -> None:
    result = found(project(tmp_path, CODEX), environ=environ(tmp_path), config_only=True)
    assert result.envelope is not None
    assert (result.envelope.cost, result.envelope.unpriced) == (None, ())
    assert result.envelope.by_subscription == ("codex/gpt-6.1-sol",)
