"""The environment that was chosen is what the run's containers are made of, and the run's first event says why."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from docker import DockerClient

from pipeline.config.settings import SandboxSettings
from pipeline.environments.preparing import prepared_environment
from pipeline.events import RunStarted
from sandbox.base import Environment
from sandbox.docker import backend
from tests.environments.world import opened_run

MIB = 1 << 20
CONTAINER = {
    "build": {"dockerfile": "Dockerfile", "context": "..", "args": {"WORD": "argued"}},
    "containerEnv": {"PLAIN": "from the container"},
    "postCreateCommand": "echo $PLAIN > made && mkdir node_modules && cp /built node_modules/built",
    "initializeCommand": ["touch", "never"],
    "runArgs": ["--privileged"],
}
FILES = {
    ".devcontainer/devcontainer.json": json.dumps(CONTAINER),
    ".devcontainer/Dockerfile": (
        "FROM stagewright/python\nARG WORD\nUSER root\nCOPY a.txt /copied\nRUN echo $WORD > /built\n"
        'USER nobody\nENTRYPOINT ["/bin/false"]\n'
    ),
    ".dockerignore": "secret.txt\n",
    "a.txt": "committed\n",
    "secret.txt": "x\n",
}


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was said; every image that it says was made is removed."""
    lines: list[str] = []
    yield lines
    client = DockerClient.from_env()
    for name in dict.fromkeys(re.findall(r"stagewright/(?:env|fitted|built):[0-9a-f]+", "\n".join(reversed(lines)))):
        client.images.remove(name, force=True)
    client.close()


def test_the_first_event_of_a_run_says_what_was_chosen_and_what_was_left_out(tmp_path: Path) -> None:
    files = {"package-lock.json": "{}", ".devcontainer.json": '{"features": {}}'}
    with opened_run(tmp_path, files, SandboxSettings()) as run:
        started = run.journal.events()[0].event
    assert isinstance(started, RunStarted)
    assert (started.image, started.image_source) == ("stagewright/node", "lockfile")
    assert started.image_reason == "package-lock.json is at the root"
    assert [note.split(",")[0] for note in started.image_notes] == [
        ".devcontainer.json: ignored",
        ".devcontainer.json names neither an image nor a build that can be used",
        "package-lock.json would have setup run `npm ci`",
    ]


@pytest.mark.docker
def test_a_devcontainer_with_a_build_variables_and_a_command_is_the_environment(
    tmp_path: Path, said: list[str]
) -> None:
    sandbox = SandboxSettings(network="setup", setup_timeout=60.0, memory=1280 * MIB, disk=256 * MIB)
    with opened_run(tmp_path, FILES, sandbox, said) as run:
        environment = anyio.run(prepared_environment, run)
        script = 'cat made node_modules/built /copied; echo "$PLAIN"; id -un; pwd; git status --short'
        assert anyio.run(_output, environment, run.base, script) == [
            "from the container", "argued", "committed", "from the container", "agent", "/workspace"
        ]  # fmt: skip
        again = anyio.run(prepared_environment, run)
    assert again == environment
    assert said[0].startswith("environment: built from .devcontainer/Dockerfile (.devcontainer/devcontainer.json names")
    assert any("initializeCommand, runArgs" in line for line in said)
    assert not (run.repository.path / "never").exists()


@pytest.mark.docker
def test_a_dockerfile_of_the_config_sees_the_base_commit_and_nothing_of_the_work_tree(
    tmp_path: Path, said: list[str]
) -> None:
    sandbox = SandboxSettings(dockerfile="ci/Dockerfile", memory=1280 * MIB, disk=256 * MIB)
    files = {"ci/Dockerfile": "FROM stagewright/python\nUSER root\nCOPY . /all\n", "a.txt": "committed\n"}
    with opened_run(tmp_path, files, sandbox, said) as run:
        (run.repository.path / "a.txt").write_text("not committed\n", encoding="utf-8")
        (run.repository.path / "untracked.txt").write_text("x\n", encoding="utf-8")
        environment = anyio.run(prepared_environment, run)
        assert anyio.run(_output, environment, run.base, "cat /all/a.txt; ls /all") == ["committed", "a.txt", "ci"]


async def _output(environment: Environment, base: object, script: str) -> list[str]:
    async with backend().open(environment, base) as sandbox:  # type: ignore[arg-type] # what the run has
        result = await sandbox.exec(["sh", "-c", script], timeout=30, merge_output=True)
        return result.stdout.decode().splitlines()
