"""Where runs are kept is one rule for all commands."""

import argparse
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.options import add_repository_options, add_state_options, state_dir, state_location


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_repository_options(parser)
    add_state_options(parser)
    return parser.parse_args(words)


def test_the_state_folder_is_named_or_the_users_own(tmp_path: Path) -> None:
    assert state_dir(parsed("--state-dir", str(tmp_path)), {}) == tmp_path
    assert state_dir(parsed(), {"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "stagewright"
    assert state_dir(parsed(), {}) == Path.home() / ".local" / "state" / "stagewright"
    assert state_dir(parsed(), {"XDG_STATE_HOME": "not/absolute"}) == Path.home() / ".local" / "state" / "stagewright"


def test_the_database_is_named_or_a_file_of_the_state_folder(tmp_path: Path) -> None:
    named = parsed("--db", "sqlite:////a/b.sqlite", "--state-dir", str(tmp_path))
    assert state_location(named, {"STAGEWRIGHT_DB": "sqlite:////c"}) == "sqlite:////a/b.sqlite"
    assert state_location(parsed(), {"STAGEWRIGHT_DB": "sqlite:////c"}) == "sqlite:////c"
    assert state_location(parsed("--state-dir", str(tmp_path)), {}) == f"sqlite:///{tmp_path}/state.sqlite"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:secret@h/d", "the database postgresql://... cannot be used: only sqlite:///FILE is built yet"),
        ("runs.sqlite", "the database runs.sqlite cannot be used: only sqlite:///FILE is built yet"),
        ("sqlite://", "a database in memory keeps no run: write sqlite:////path/to/file"),
    ],
)
def test_another_database_is_a_usage_error_without_its_password(url: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        state_location(parsed("--db", url), {})
    assert str(refused.value) == message


def test_overrides_can_be_given_several_times() -> None:
    assert parsed("--set", "a=1", "--set", "b=2").set == ["a=1", "b=2"]
    assert parsed().set == []
