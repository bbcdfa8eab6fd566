"""What is installed from a wheel works from any folder, with everything it ships."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and return the folder it was unpacked to."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the installed copy in front of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )


def test_the_wheel_holds_the_three_packages_and_nothing_else(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {
        *("pipeline", "stages", "sandbox"),
    }


def test_the_wheel_holds_every_file_that_is_no_code(installed: Path) -> None:
    shipped = ["sandbox/seccomp.json", "pipeline/shipped/pipeline.yaml"]
    shipped += [f"stages/prompts/{stage}.md" for stage in ("planner", "coder", "debugger", "reviewer")]
    demo = ROOT / "examples" / "demo"
    tracked = subprocess.run(["git", "ls-files"], cwd=demo, capture_output=True, text=True, check=True).stdout.split()
    shipped += [f"pipeline/shipped/demo/{name}" for name in tracked]
    assert [name for name in shipped if not (installed / name).is_file()] == []


def test_the_installed_copy_finds_its_files_from_any_folder(installed: Path, tmp_path: Path) -> None:
    code = "from pipeline.resources import resource; print(resource('demo')); print(resource('pipeline.yaml'))"
    found = run(installed, tmp_path, "-c", code).stdout.split()
    assert found == [str(installed / "pipeline/shipped/demo"), str(installed / "pipeline/shipped/pipeline.yaml")]


def test_the_installed_copy_runs_commands_from_any_folder(installed: Path, tmp_path: Path) -> None:
    config = installed / "pipeline/shipped/demo/pipeline.yaml"
    run(installed, tmp_path, "-m", "pipeline", "check", "--config-only", "--config", str(config))
