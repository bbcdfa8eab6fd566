"""A limit ends what it limits, whatever the command does, and the sandbox goes on."""

import resource

import anyio
import pytest

from sandbox.base import BaseTree, Sandbox, SandboxPathError
from sandbox.docker import DockerBackend
from tests.sandbox.trees import MIB, environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
MARK = "98765.4"
# Each says "begun" once its process is there, so that a shape that never started cannot pass.
SHAPES = {
    "plain": f"echo begun; sleep {MARK}",
    "setsid": f"setsid sleep {MARK} & echo begun; sleep {MARK}",
    "double fork": f"(setsid sh -c 'setsid sleep {MARK} & exec sleep {MARK}' &) ; echo begun; sleep {MARK}",
    "trapping TERM": f"trap '' TERM INT HUP; echo begun; sleep {MARK}; sleep {MARK}",
    "nohup": f"nohup sleep {MARK} >/dev/null 2>&1 & echo begun; wait",
    "stopped": f"sleep {MARK} & kill -STOP $!; echo begun; wait",
    "cleared environment": f"env -i setsid sleep {MARK} & echo begun; sleep {MARK}",
    "exec storm": "echo begun; exec sh -c 'while :; do /bin/true; done'",
}
SETSID_BOMB = """
import os
print("begun", flush=True)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
"""


async def processes(sandbox: Sandbox) -> list[str]:
    """Return the command lines of everything but the agent and this very look."""
    script = """
import glob, os
for path in glob.glob("/proc/[0-9]*/cmdline"):
    pid = int(path.split("/")[2])
    try:
        line = open(path, "rb").read().replace(b"\\0", b" ").decode(errors="replace").strip()
        state = open(f"/proc/{pid}/stat", "rb").read().rpartition(b")")[2].split()[0]
    except OSError:
        continue
    if pid not in (1, os.getpid()):
        print(state.decode(), line)
"""
    result = await sandbox.exec(["python3", "-c", script], timeout=30)
    assert result.exit_code == 0, result
    return result.stdout.decode().splitlines()


@pytest.mark.parametrize("shape", SHAPES)
async def test_nothing_survives_a_time_limit(docker_backend: DockerBackend, small_base: BaseTree, shape: str) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["sh", "-c", SHAPES[shape]], timeout=0.6)
        assert (result.timed_out, result.exit_code, result.stdout) == (True, None, b"begun\n")
        assert result.seconds < 3
        assert await processes(sandbox) == []


async def test_a_look_at_the_processes_does_see_one_that_runs(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox, anyio.create_task_group() as tasks:

        async def sleep() -> None:
            await sandbox.exec(["sh", "-c", f"touch begun; exec sleep {MARK}"], timeout=60)

        tasks.start_soon(sleep)
        await sandbox.exec(["sh", "-c", "until [ -e begun ]; do :; done"], timeout=30)
        assert any(MARK in line for line in await processes(sandbox))
        tasks.cancel_scope.cancel()


async def test_a_time_limit_spares_the_other_command(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    outcomes: list[tuple[bool, bytes]] = []

    async def run(sandbox: Sandbox, script: str, seconds: float) -> None:
        result = await sandbox.exec(["sh", "-c", script], timeout=seconds)
        outcomes.append((result.timed_out, result.stdout))

    async with docker_backend.open(environment(), small_base) as sandbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, sandbox, f"setsid sleep {MARK} & sleep {MARK}", 0.5)
            tasks.start_soon(run, sandbox, "sleep 1; echo done", 30)
        assert outcomes == [(True, b""), (False, b"done\n")]
        assert await processes(sandbox) == []


async def test_a_cancelled_command_is_dead_when_the_cancellation_is_through(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        with anyio.move_on_after(0.5):
            await sandbox.exec(["sh", "-c", SHAPES["double fork"]], timeout=60)
        assert await processes(sandbox) == []


async def test_a_background_process_that_holds_the_output_does_not_hold_the_answer(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["sh", "-c", f"sleep {MARK} & setsid sleep {MARK} & echo said"], timeout=60)
        assert (result.exit_code, result.stdout, result.stragglers) == (0, b"said\n", 2)
        assert result.seconds < 3
        assert await processes(sandbox) == []


async def test_a_quick_background_process_may_finish_its_sentence(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["sh", "-c", "(sleep 0.05; echo late) & echo soon"], timeout=60)
    assert (result.stdout, result.stragglers) == (b"soon\nlate\n", 0)


@pytest.mark.parametrize(
    "bomb",
    [["sh", "-c", "echo begun; f() { f | f & }; f; while :; do f; done"], ["python3", "-c", SETSID_BOMB]],
    ids=["shell", "setsid"],
)
async def test_a_fork_bomb_ends_with_its_time(
    docker_backend: DockerBackend, small_base: BaseTree, bomb: list[str]
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(bomb, timeout=1)
        assert b"begun" in result.stdout
        after = await sandbox.exec(["echo", "alive"], timeout=30)
        assert (after.exit_code, after.stdout) == (0, b"alive\n")
        assert await processes(sandbox) == []


async def test_a_memory_bomb_dies_alone_and_is_named(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        bomb = await sandbox.exec(["python3", "-c", "x = [bytes(1 << 20) + b'x' for _ in range(9999)]"], timeout=60)
        assert (bomb.oom, bomb.exit_code, bomb.timed_out) == (True, None, False)
        after = await sandbox.exec(["echo", "alive"], timeout=30)
        assert (after.oom, after.stdout) == (False, b"alive\n")


async def test_a_full_disk_is_an_error_of_the_command_and_passes(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(disk=64 * MIB), small_base) as sandbox:
        full = await sandbox.exec(["sh", "-c", "head -c 100M /dev/zero > big"], timeout=60)
        assert full.exit_code != 0
        with pytest.raises(SandboxPathError, match="no space"):
            await sandbox.write("more", bytes(MIB))
        assert await sandbox.read("a.txt", limit=10) == b"a\n"
        await sandbox.exec(["sh", "-c", "rm big; cat /dev/zero > /tmp/big; cat /dev/zero > ~/big"], timeout=60)
        assert (await sandbox.snapshot()).files == {}
        await sandbox.write("more", bytes(MIB))


async def test_too_many_files_hit_the_inode_limit_not_the_host(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["df", "--output=itotal", "/workspace", "/tmp"], timeout=30)
    assert [int(number) for number in result.stdout.split()[1:]] == [400 * 1024, 200 * 1024]


async def test_endless_output_costs_the_runner_nothing(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        await sandbox.exec(["true"], timeout=30)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = await sandbox.exec(["sh", "-c", "head -c 200M /dev/zero"], timeout=60, keep_bytes=100_000)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        endless = await sandbox.exec(["yes"], timeout=0.5, keep_bytes=1000)
    assert (result.stdout_bytes, len(result.stdout)) == (200 * MIB, 100_000)
    assert grown < 10_000
    assert (endless.timed_out, endless.stdout) == (True, b"y\n" * 500)
