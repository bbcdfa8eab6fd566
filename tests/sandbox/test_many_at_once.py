"""Many calls to one sandbox and many sandboxes at once: each gets its own answer, and all end."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import anyio
import pytest

from sandbox.base import BaseTree, Sandbox
from sandbox.docker import DockerBackend
from tests.sandbox.trees import MIB, environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
Listed = Callable[[str], list[str]]
CALLS = 50
CONTAINERS = 100


async def test_fifty_calls_at_once_are_each_answered(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    answers: dict[int, bytes] = {}

    async def ask(sandbox: Sandbox, number: int) -> None:
        content = b"%d\n" % number * 1000
        await sandbox.write(f"file-{number}", content)
        # None ends before all have begun, so that they do run at the same time.
        script = f"touch begun-{number}; until [ $(ls | grep -c begun) -ge {CALLS} ]; do sleep 0.05; done; cat"
        done = await sandbox.exec(["sh", "-c", script], timeout=60, stdin=content)
        assert done.stdout == await sandbox.read(f"file-{number}", limit=len(content))
        answers[number] = done.stdout

    async with docker_backend.open(environment(pids=400), small_base) as sandbox:
        async with anyio.create_task_group() as tasks:
            for number in range(CALLS):
                tasks.start_soon(ask, sandbox, number)
        assert (await sandbox.exec(["echo", "after"], timeout=30)).stdout == b"after\n"
    assert answers == {number: b"%d\n" % number * 1000 for number in range(CALLS)}


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hundred_containers_work_at_once_and_all_are_gone(
    docker_backend: DockerBackend, small_base: BaseTree, containers: Listed
) -> None:
    run = f"hundred-{os.getpid()}"
    settings = environment(labels={"stagewright.run": run}, memory=1100 * MIB, disk=32 * MIB)
    answers: list[bytes] = []
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(docker_backend.open(settings, small_base)) for _ in range(CONTAINERS)]
        assert len(containers(run)) == CONTAINERS

        async def ask(sandbox: Sandbox, number: int) -> None:
            await sandbox.write("own", b"%d" % number)
            answers.append((await sandbox.exec(["cat", "own"], timeout=60)).stdout)

        async with anyio.create_task_group() as tasks:
            for number, sandbox in enumerate(opened):
                tasks.start_soon(partial(ask, sandbox, number))
    assert sorted(answers, key=int) == [b"%d" % number for number in range(CONTAINERS)]
    assert containers(run) == []
