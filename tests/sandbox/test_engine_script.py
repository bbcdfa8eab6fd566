"""`bin/engine` keeps an engine that answers, and otherwise does or says exactly what is missing."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bin" / "engine"
NEEDED = ("sh", "timeout", "id", "uname", "grep", "cat", "sleep", "tail", "flock", "setsid", "rm", "dirname")


def tool(folder: Path, name: str, body: str) -> None:
    """Put a command of our own on a PATH."""
    script = folder / name
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a PATH with the tools every system has and nothing of Docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = next(Path(place) / name for place in ("/usr/bin", "/bin") if (Path(place) / name).exists())
        (folder / name).symlink_to(found)
    tool(folder, "uname", "echo Linux")
    tool(folder, "id", '[ "$1" = -u ] && echo 0 || echo tester')
    return folder


def run(machine: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": str(machine),
        "STAGEWRIGHT_ENGINE_LOG": str(machine.parent / "log"),
        "STAGEWRIGHT_ENGINE_RUN": str(machine.parent),
        "STAGEWRIGHT_ENGINE_SECONDS": "5",
        **variables,
    }
    return subprocess.run([str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_an_engine_that_answers_is_left_alone(machine: Path) -> None:
    tool(machine, "docker", "exit 0")
    tool(machine, "dockerd", f": > {machine}/started")
    done = run(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (machine / "started").exists()


def test_an_installed_engine_is_started_and_waited_for(machine: Path) -> None:
    tool(machine, "docker", f"[ -e {machine}/started ]")
    tool(machine, "dockerd", f": > {machine}/started")
    done = run(machine)
    assert done.returncode == 0
    assert "starting dockerd" in done.stderr
    assert (machine / "started").exists()


def test_where_only_the_client_is_there_the_engine_is_installed_then_started(machine: Path) -> None:
    tool(machine, "docker", f"[ -e {machine}/started ]")
    body = f"printf '#!/bin/sh\\necho > {machine}/started\\n' > {machine}/dockerd; /bin/chmod +x {machine}/dockerd"
    tool(machine, "apt-get", f'echo "$@" >> {machine}/asked; {body}')
    done = run(machine)
    assert (done.returncode, "installing" in done.stderr) == (0, True)
    assert "docker.io" in (machine / "asked").read_text()


def test_an_engine_that_dies_is_reported_with_its_last_words(machine: Path) -> None:
    tool(machine, "docker", "exit 1")
    tool(machine, "dockerd", "echo 'no room for me' >&2; exit 1")
    done = run(machine, STAGEWRIGHT_ENGINE_SECONDS="1")
    assert done.returncode == 7
    assert "no room for me" in done.stderr
    assert "did not answer within 1 s" in done.stderr


def test_without_root_it_says_what_to_type(machine: Path) -> None:
    tool(machine, "id", '[ "$1" = -u ] && echo 1000 || echo tester')
    tool(machine, "apt-get", f": > {machine}/asked")
    done = run(machine)
    assert done.returncode == 7
    assert "sudo apt-get install docker.io" in done.stderr
    assert not (machine / "asked").exists()


def test_without_the_right_it_names_the_group(machine: Path) -> None:
    tool(machine, "id", '[ "$1" = -u ] && echo 1000 || echo tester')
    tool(machine, "docker", "echo 'permission denied while trying to connect' >&2; exit 1")
    tool(machine, "dockerd", "exit 1")
    done = run(machine)
    assert (done.returncode, "usermod -aG docker tester" in done.stderr) == (7, True)


def test_an_engine_elsewhere_is_not_replaced_by_a_local_one(machine: Path) -> None:
    tool(machine, "docker", "exit 1")
    tool(machine, "dockerd", f": > {machine}/started")
    done = run(machine, DOCKER_HOST="tcp://build.example:2375")
    assert done.returncode == 7
    assert "DOCKER_HOST=tcp://build.example:2375 does not answer" in done.stderr
    assert not (machine / "started").exists()


def test_two_calls_at_once_start_one_engine(machine: Path) -> None:
    tool(machine, "docker", f"[ -e {machine}/started ]")
    tool(machine, "dockerd", f"echo once >> {machine}/starts; : > {machine}/started")
    environment = {"PATH": str(machine), "STAGEWRIGHT_ENGINE_RUN": str(machine.parent)}
    environment["STAGEWRIGHT_ENGINE_LOG"] = os.devnull
    environment["STAGEWRIGHT_ENGINE_SECONDS"] = "5"
    with (
        subprocess.Popen([str(SCRIPT)], env=environment, stderr=subprocess.DEVNULL) as one,
        subprocess.Popen([str(SCRIPT)], env=environment, stderr=subprocess.DEVNULL) as other,
    ):
        assert [one.wait(timeout=30), other.wait(timeout=30)] == [0, 0]
    assert (machine / "starts").read_text() == "once\n"
