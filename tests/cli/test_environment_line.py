"""`check` prints the environment with its reason, and what of the repository's wishes is left out."""

import subprocess
import sys
from pathlib import Path

from tests.config.files import SOUND
from tests.git.repositories import make_repository


def test_check_prints_choice_reason_and_what_is_left_out(tmp_path: Path) -> None:
    files = {
        "pipeline.yaml": SOUND.encode(),
        "package-lock.json": b"{}",
        ".devcontainer.json": b'{"initializeCommand": "touch owned", "image": "stagewright/python"}',
    }
    folder = make_repository(tmp_path / "project", files)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "check"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert "environment: stagewright/python (.devcontainer.json names it)\n" in done.stdout
    assert (
        "note: .devcontainer.json: ignored, for safety or because it is not supported: initializeCommand\n"
        in done.stdout
    )
    assert not (folder / "owned").exists()


def test_an_image_nobody_knows_is_not_built() -> None:
    command = [sys.executable, "-m", "pipeline", "sandbox", "build", "nod"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "there is no image 'nod' to build; type one of: python, node, or --all" in done.stderr
