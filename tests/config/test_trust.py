"""A config that was found and not named cannot send keys anywhere."""
# ruff: noqa: E501 - the printed lines are kept whole, to be compared and searched for

from pathlib import Path

import pytest

from pipeline.config.locate import locate
from pipeline.config.vendor_rules import is_loopback
from pipeline.problem import PreflightError
from tests.config.files import SOUND, changed, loaded, problem_lines

HINT = "name it with --config if you trust it"
SENDING = {
    "another server": (
        'vendors: {anthropic: {base_url: "https://evil.example"}}\n',
        f"SW112 pipeline.yaml:1:23: vendors.anthropic.base_url: `base_url` beyond this machine in a config that was found, not named; {HINT}",
    ),
    "a private server": (
        'vendors: {openai: {base_url: "http://10.0.0.1/v1"}}\n',
        f"SW112 pipeline.yaml:1:20: vendors.openai.base_url: `base_url` beyond this machine in a config that was found, not named; {HINT}",
    ),
    "a name that only looks local": (
        'vendors: {openai: {base_url: "http://localhost.evil.example/v1"}}\n',
        f"SW112 pipeline.yaml:1:20: vendors.openai.base_url: `base_url` beyond this machine in a config that was found, not named; {HINT}",
    ),
    "another variable": (
        "vendors: {openai: {api_key_env: AWS_SECRET_ACCESS_KEY}}\n",
        f"SW112 pipeline.yaml:1:20: vendors.openai.api_key_env: `api_key_env` in a config that was found, not named; {HINT}",
    ),
    "a variable in a text": (
        "models: {a: '${HOME}'}\n",
        f"SW112 pipeline.yaml:1:10: models.a: `${{...}}` in a config that was found, not named; {HINT}",
    ),
    "a default would do no harm, and is refused all the same": (
        "models: {a: '${HOME:-x}'}\n",
        f"SW112 pipeline.yaml:1:10: models.a: `${{...}}` in a config that was found, not named; {HINT}",
    ),
    "a file outside": (
        "vendors: {scripted: {replies: ../replies.yaml}}\n",
        f"SW112 pipeline.yaml:1:22: vendors.scripted.replies: a file outside the folder of a config that was found, not named; {HINT}",
    ),
    "a program": (
        "vendors: {codex: {command: ./codex}}\n",
        f"SW112 pipeline.yaml:1:19: vendors.codex.command: a `command` in a config that was found, not named; {HINT}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SENDING)
def test_what_could_send_keys_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    extra, line = SENDING[name]
    assert problem_lines(loaded(tmp_path, extra + SOUND, trusted=False)) == [line]


@pytest.mark.parametrize("name", SENDING)
def test_a_named_config_may(name: str, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "replies.yaml").touch()
    extra, _ = SENDING[name]
    assert problem_lines(loaded(tmp_path / "project", extra + SOUND, environ={"HOME": "/home/u"})) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "http://localhost:1/v1", "http://[::1]:8080/v1"])
def test_a_found_config_may_name_a_server_on_this_machine(address: str, tmp_path: Path) -> None:
    text = f'vendors: {{openai: {{base_url: "{address}"}}}}\n' + SOUND
    found = loaded(tmp_path, text, trusted=False)
    assert problem_lines(found) == []
    assert found.settings is not None
    assert found.settings.vendors["openai"].base_url == address


def test_what_the_user_types_is_trusted_in_a_found_config_too(tmp_path: Path) -> None:
    overrides = ["vendors.anthropic.base_url=https://gateway.example", "vendors.anthropic.api_key_env=GATEWAY_KEY"]
    found = loaded(tmp_path, SOUND, overrides=overrides, trusted=False)
    assert problem_lines(found) == []


def test_commands_keep_their_dollars_in_a_found_config(tmp_path: Path) -> None:
    text = changed(SOUND, ("pytest -q --junitxml=$REPORT", "X=${HOME} pytest --junitxml=${REPORT}"))
    found = loaded(tmp_path, text, trusted=False)
    assert found.settings is not None
    assert found.settings.checks[0].run == "X=${HOME} pytest --junitxml=${REPORT}"


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1@evil.example", r"http://127.0.0.1\@evil.example", "http://127.0.0.1 .evil.example",
     "http://evil.example#@127.0.0.1", "file:///etc/passwd", "127.0.0.1:80", "http://a/?k=1"],
)  # fmt: skip
def test_an_address_that_parsers_read_differently_is_none(address: str, tmp_path: Path) -> None:
    text = f"vendors: {{openai: {{base_url: '{address}'}}}}\n" + SOUND
    found = loaded(tmp_path, text)
    assert [(problem.code, problem.key) for problem in found.problems] == [("SW106", "vendors.openai.base_url")]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "localhost.example", "127.1", "example.com", ""])
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_a_config_is_looked_for_here_then_in_the_repository_and_is_trusted_only_when_named(tmp_path: Path) -> None:
    here = tmp_path / "sub"
    here.mkdir()
    (tmp_path / "pipeline.yaml").touch()
    named = Path("other.yaml")
    assert locate(None, {}, here, tmp_path) == (tmp_path / "pipeline.yaml", False)
    (here / "pipeline.yaml").touch()
    assert locate(None, {}, here, tmp_path) == (here / "pipeline.yaml", False)
    assert locate(None, {"STAGEWRIGHT_CONFIG": "env.yaml"}, here, tmp_path) == (here / "env.yaml", True)
    assert locate(named, {"STAGEWRIGHT_CONFIG": "env.yaml"}, here, tmp_path) == (here / "other.yaml", True)


def test_no_config_anywhere_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as refused:
        locate(None, {}, tmp_path, None)
    assert str(refused.value) == (
        f"SW101 there is no pipeline.yaml in {tmp_path}; `stagewright init` writes one, --config names another"
    )
