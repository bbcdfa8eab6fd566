"""With a project folder the environment comes from its lock files, and setup runs in it."""

import subprocess
from pathlib import Path

from pipeline.config.settings import SandboxSettings
from pipeline.environments.choice import choose
from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.key_files import key_files
from pipeline.git.command import Git
from pipeline.running.project_folder import in_project, is_inside, seen_from
from tests.git.repositories import git, make_repository


def commit_files(folder: Path) -> CommitFiles:
    files = {"web/package-lock.json": b"{}", "api/requirements.txt": b"a\n", "api/dev.list": b"b\n", "README.md": b""}
    make_repository(folder, files)
    return CommitFiles.of(Git(folder), git(folder, "rev-parse", "HEAD"))


def test_lock_files_are_looked_for_in_the_project(tmp_path: Path) -> None:
    files = commit_files(tmp_path / "user")
    sandbox = SandboxSettings(network="setup", setup_timeout=60.0)
    assert choose(sandbox, files).source == "default"
    web, api = choose(sandbox, files, "web"), choose(sandbox, files, "api")
    assert (web.setup, web.reason) == (("npm ci",), "package-lock.json is in web")
    assert api.setup == ("pip install -r requirements.txt",)


def test_a_file_a_setup_command_names_from_the_project_counts_for_the_cache(tmp_path: Path) -> None:
    files = commit_files(tmp_path / "user")
    commands = ["pip install -r dev.list"]
    assert "api/dev.list" in key_files(commands, files, "api")
    assert "api/dev.list" not in key_files(commands, files)


def test_setup_commands_run_in_the_project_and_stop_where_it_is_not(tmp_path: Path) -> None:
    odd = "-it's a folder"
    (tmp_path / odd).mkdir()
    (command,) = in_project(odd, ["pwd; echo $((1 + 1))"])
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / odd}\n2\n"
    (missing,) = in_project("nowhere", ["echo ran"])
    done = subprocess.run(["sh", "-c", missing], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert in_project("", ["true"]) == ("true",)


def test_paths_are_told_apart_by_whole_names() -> None:
    assert is_inside("api/a.py", "api")
    assert is_inside("a.py", "")
    assert not is_inside("api2/a.py", "api")
    assert seen_from("api", ["api/t.py::x", "apis/t.py"]) == ("t.py::x", "apis/t.py")
    assert seen_from("", ["api/t.py"]) == ("api/t.py",)
