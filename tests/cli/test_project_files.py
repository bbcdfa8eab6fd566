import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()


def python_of(version: tuple[int, int], folder: Path) -> Path:
    """Return a stand-in for an interpreter that judges every question about its version by `version`."""
    script = folder / "python-stand-in"
    code = 0 if version >= (3, 11) else 1
    script.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit {code}\necho "$@" >>"{folder}/asked"\nexit 9\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "setup", tmp_path / "bin")
    return tmp_path


def setup(checkout: Path, python: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(python)}
    return subprocess.run(["bin/setup"], cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def test_an_older_python_is_refused_with_what_to_do(checkout: Path) -> None:
    done = setup(checkout, python_of((3, 10), checkout))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "make setup PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_newer_python_is_asked_for_an_environment(checkout: Path) -> None:
    assert setup(checkout, python_of((3, 12), checkout)).returncode != 0
    assert (checkout / "asked").read_text().startswith("--version\n-m venv .venv\n")


def test_a_failed_setup_is_not_taken_for_a_complete_one(checkout: Path) -> None:
    setup(checkout, python_of((3, 12), checkout))
    assert not (checkout / ".venv" / ".complete").exists()


def test_every_locked_package_has_hashes_and_no_address() -> None:
    requirements = re.findall(
        r"^([a-z0-9][\w.-]*)==[^\n]*\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", LOCK, re.MULTILINE
    )
    assert len(requirements) == len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE))
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=~!;\[ ]", requirement)[0].lower() for requirement in wanted}
    assert names - set(re.findall(r"^([a-z0-9][\w.-]*)==", LOCK, re.MULTILINE)) == set()


@pytest.mark.parametrize("script", ["bin/setup", "bin/engine", "bin/clis", ".ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111 == 0o111


def test_every_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([\w-]+) +\S", listed, re.MULTILINE) == phony.split()
