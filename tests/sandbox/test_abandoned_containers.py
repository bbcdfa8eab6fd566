"""A runner that dies or stops at any moment leaves nothing that outlives the next start."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import docker.errors
import pytest
from docker import DockerClient

from sandbox.base import BaseTree
from sandbox.docker import DockerBackend
from sandbox.reaper import remove_orphans
from tests.sandbox.trees import environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
Listed = Callable[[str], list[str]]
CREATED = """
import signal, sys
import docker
from sandbox.container import parameters
from sandbox.reaper import owner_labels
from tests.sandbox.trees import environment
container = docker.from_env().containers.create(**parameters(environment(), owner_labels(sys.argv[1])))
print(container.id, flush=True)
signal.pause()
"""
# Its container ends after a second without a word; it speaks every tenth of one.
SPEAKING = """
import sys
import anyio
from sandbox.container import parameters
from sandbox.docker import running_container
from sandbox.engine import open_engine
from sandbox.frames import Done
from sandbox.reaper import owner_labels
from tests.sandbox.trees import environment
async def main():
    settings = parameters(environment(), owner_labels(sys.argv[1]))
    settings["command"][-2] = "1"
    async with open_engine() as engine, running_container(engine, settings) as (identifier, channel):
        for said in range(1000):
            await channel.call(Done, {"op": "ping"})
            if said == 20:
                print(identifier, flush=True)
            await anyio.sleep(0.1)
anyio.run(main)
"""
BUILDING = """
import io, sys
import anyio
from sandbox.engine import open_engine
from sandbox.image import DEFAULT_IMAGE
recipe = f"FROM {DEFAULT_IMAGE}\\nRUN : {sys.argv[1]}; sleep 1000\\n".encode()
async def main():
    async with open_engine(900) as engine:
        def build(client):
            for line in client.api.build(fileobj=io.BytesIO(recipe), rm=True, forcerm=True, decode=True):
                if "Running in" in line.get("stream", ""):
                    print(line["stream"].split()[-1], flush=True)
        await engine.call(build)
anyio.run(main)
"""


@contextmanager
def runner(script: str, run: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start a runner of its own; yields it and the first line it said."""
    with subprocess.Popen([sys.executable, "-c", script, run], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def test_a_runner_killed_between_create_and_start_leaves_what_the_next_start_removes(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient, containers: Listed
) -> None:
    run = f"created-{os.getpid()}"
    with runner(CREATED, run) as (process, identifier):
        assert engine.api.inspect_container(identifier)["State"]["Status"] == "created"
        await remove_orphans(say=print)
        assert containers(run) == [identifier], "its owner lives"
        process.kill()
        process.wait()
        assert containers(run) == [identifier], "the engine removes only what was started"
        async with docker_backend.open(environment(), small_base):
            assert containers(run) == []


def test_a_runner_that_is_stopped_loses_its_container_to_the_idle_limit(
    engine: DockerClient, containers: Listed
) -> None:
    run = f"stopped-{os.getpid()}"
    with runner(SPEAKING, run) as (process, identifier):
        # Two idle limits have passed by now: what speaks is kept.
        assert containers(run) == [identifier]
        process.send_signal(signal.SIGSTOP)
        engine.api.wait(identifier, timeout=10, condition="removed")
        assert process.poll() is None
    assert containers(run) == []


def test_a_killed_image_build_leaves_no_container(engine: DockerClient) -> None:
    run = f"building-{os.getpid()}"
    with runner(BUILDING, run) as (process, building):
        command = engine.api.inspect_container(building)["Config"]["Cmd"]
        assert run in " ".join(command)
        process.kill()
        process.wait()
        # The engine notices by itself that nobody waits for the build, and removes what it was built in.
        with suppress(docker.errors.NotFound):
            engine.api.wait(building, timeout=30, condition="removed")
    with pytest.raises(docker.errors.NotFound):
        engine.api.inspect_container(building)
