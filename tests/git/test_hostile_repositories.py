"""What host git is protected from beyond configuration: the caller's variables, and names nobody can list."""

from pathlib import Path

import pytest

from pipeline.git.command import Git
from pipeline.git.isolation import blanks
from pipeline.git.repository import open_repository
from tests.git.repositories import git, make_repository


@pytest.mark.parametrize(
    "name",
    [
        "filter.a.clean",
        "FILTER.a.Smudge",
        "merge.x.driver",
        "diff.a.b.c.textconv",
        "hook.x.command",
        "trailer.sign.cmd",
        "remote.o.uploadpack",
        "credential.https://example.org.helper",
    ],
)
def test_names_that_run_commands_are_blanked_whatever_is_in_the_middle(name: str) -> None:
    assert set(blanks([name, "user.name", "filter.clean", "core.bare"])) == {name}


def test_variables_of_the_callers_environment_do_not_reach_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_repository(tmp_path / "user")
    other = make_repository(tmp_path / "other", {"b.txt": b"b"})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(other / ".git"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=false'")
    assert open_repository(folder).path == folder
    assert Git(folder).run("rev-parse", "HEAD").decode().strip() == git(folder, "rev-parse", "HEAD")
