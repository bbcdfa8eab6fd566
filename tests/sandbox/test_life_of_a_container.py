"""A container never outlives its runner, and no runner removes what a living one uses."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from docker import DockerClient

from sandbox.base import BaseTree, SandboxLostError, SandboxUnavailableError
from sandbox.container import parameters
from sandbox.docker import DockerBackend, running_container
from sandbox.engine import open_engine
from sandbox.frames import Done
from sandbox.reaper import owner_labels, remove_orphans
from tests.sandbox.trees import environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
Listed = Callable[[str], list[str]]
RUNNER = """
import sys
from pathlib import Path
import anyio
from sandbox.docker import backend
from tests.sandbox.trees import environment, make_base
async def main():
    base = make_base(Path(sys.argv[1]), {"a": b"a"})
    async with backend().open(environment(labels={"stagewright.run": sys.argv[2]}), base) as sandbox:
        print(sandbox.container_id, flush=True)
        await sandbox.exec(["sh", "-c", "setsid sleep 1000 & sleep 1000"], timeout=1000)
anyio.run(main)
"""


def dead_owner() -> dict[str, str]:
    """Return the labels a process that has ended left."""
    command = "import json; from sandbox.reaper import owner_labels; print(json.dumps(owner_labels('dead')))"
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True, text=True)
    return dict(eval(ended.stdout))


def test_a_killed_runner_leaves_nothing(tmp_path: Path, engine: DockerClient, containers: Listed) -> None:
    run = f"killed-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path / "repository"), run], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        identifier = runner.stdout.readline().strip()
        assert containers(run) == [identifier]
        runner.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        engine.api.wait(identifier, timeout=10, condition="removed")
    assert time.monotonic() - killed_at < 2
    assert containers(run) == []


async def test_leaving_the_context_leaves_nothing(
    docker_backend: DockerBackend, small_base: BaseTree, containers: Listed
) -> None:
    run = f"left-{os.getpid()}"
    async with docker_backend.open(environment(labels={"stagewright.run": run}), small_base) as sandbox:
        assert containers(run) == [sandbox.container_id]
    assert containers(run) == []


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.15, 0.25])
async def test_a_start_that_is_cancelled_leaves_nothing(
    docker_backend: DockerBackend, small_base: BaseTree, containers: Listed, seconds: float
) -> None:
    run = f"cancelled-{os.getpid()}"
    with anyio.move_on_after(seconds):
        async with docker_backend.open(environment(labels={"stagewright.run": run}), small_base):
            await anyio.sleep_forever()
    assert containers(run) == []


async def test_a_container_removed_underneath_is_a_lost_sandbox_not_a_result(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        async with anyio.create_task_group() as tasks:

            async def wait_for_the_loss() -> None:
                with pytest.raises(SandboxLostError):
                    await sandbox.exec(["sh", "-c", "touch begun; sleep 1000"], timeout=1000)

            tasks.start_soon(wait_for_the_loss)
            await sandbox.exec(["sh", "-c", "until [ -e begun ]; do :; done"], timeout=30)
            await anyio.to_thread.run_sync(
                lambda: engine.api.remove_container(sandbox.container_id, force=True, v=True)
            )
        for call in (sandbox.read("a.txt", limit=9), sandbox.exec(["true"], timeout=9), sandbox.snapshot()):
            with pytest.raises(SandboxLostError):
                await call


async def test_only_what_a_dead_owner_left_is_removed(engine: DockerClient) -> None:
    dead, mine = dead_owner(), owner_labels("living")
    labelled = {
        "dead": dead,
        "living": mine,
        "used again": {**dead, "stagewright.owner.pid": str(os.getpid())},
        "rebooted": {**mine, "stagewright.boot": "another"},
        "elsewhere": {**dead, "stagewright.host": "another"},
        "foreign namespace": {**dead, "stagewright.pids": "pid:[1]"},
        "not ours": {"stagewright.owner.pid": "1"},
    }
    # Created and never started: the engine's own removal does not apply to these.
    made = {
        name: engine.containers.create("stagewright/python", "true", labels=labels, auto_remove=True, detach=True)
        for name, labels in labelled.items()
    }
    said: list[str] = []
    try:
        removed = await remove_orphans(say=said.append)
        kept = {str(row["Id"]) for row in engine.api.containers(all=True)}
        gone = {name for name, container in made.items() if container.id not in kept}
    finally:
        for container in engine.containers.list(all=True, ignore_removed=True):
            if container.id in {each.id for each in made.values()}:
                container.remove(force=True)
    assert gone == {"dead", "used again", "rebooted"}
    # Another runner that starts at this moment may have been quicker with some.
    assert not {made[name].id for name in made.keys() - gone} & set(removed)
    assert len(said) == len(removed)


async def test_the_first_start_removes_what_a_dead_owner_left(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient
) -> None:
    orphan = engine.containers.create("stagewright/python", "true", labels=dead_owner(), detach=True)
    async with docker_backend.open(environment(), small_base):
        assert orphan.id not in {str(row["Id"]) for row in engine.api.containers(all=True)}


async def test_a_missing_image_is_never_pulled_and_the_message_says_what_to_do(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    with pytest.raises(SandboxUnavailableError, match="stagewright sandbox build"):
        async with docker_backend.open(environment(image="stagewright/no-such-image"), small_base):
            pass


async def test_an_image_without_what_the_agent_needs_is_named_with_the_need(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient
) -> None:
    engine.api.import_image_from_data(empty_tar(), repository="stagewright/test-empty", changes=["CMD x"])
    try:
        with pytest.raises(SandboxUnavailableError, match="needs Python 3 and git"):
            async with docker_backend.open(environment(image="stagewright/test-empty"), small_base):
                pass
    finally:
        engine.images.remove("stagewright/test-empty", force=True)


def empty_tar() -> bytes:
    """Return an archive without entries."""
    return bytes(10240)


@pytest.mark.parametrize("limit", [-2, -1], ids=["silence", "age"])
async def test_a_container_ends_by_itself_when_nobody_speaks_to_it_or_it_is_too_old(
    engine: DockerClient, limit: int
) -> None:
    settings = parameters(environment(), owner_labels("alone"))
    settings["command"][limit] = "0.5"
    async with open_engine() as connection, running_container(connection, settings) as (identifier, channel):
        await anyio.to_thread.run_sync(lambda: engine.api.wait(identifier, timeout=10, condition="removed"))
        with pytest.raises(SandboxLostError):
            await channel.call(Done, {"op": "ping"})


def test_a_killed_setup_leaves_no_container(tmp_path: Path, engine: DockerClient, containers: Listed) -> None:
    run = f"setup-{os.getpid()}"
    script = RUNNER.replace("from sandbox.docker import backend", "from sandbox.setup import prepared_image").replace(
        RUNNER[RUNNER.index("    async with") : RUNNER.index("anyio.run")],
        "    inside = environment(labels={'stagewright.run': sys.argv[2]})\n"
        "    say = lambda line: print(line, flush=True)\n"
        "    await prepared_image(inside, base, ['sleep 1000'], 1000, lock_files={}, say=say)\n",
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "repository"), run], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "setup: sleep 1000\n"
        (identifier,) = containers(run)
        runner.send_signal(signal.SIGKILL)
        engine.api.wait(identifier, timeout=10, condition="removed")
    assert containers(run) == []
