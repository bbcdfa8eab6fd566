"""A limit ends what it limits, whatever the command does, and the sandbox goes on."""

import errno
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from sandbox.base import BaseTree, ExecResult, FileState, Sandbox, SandboxPathError, Snapshot
from sandbox.docker import DockerBackend
from tests.sandbox.trees import MIB, environment, make_base

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
MARK = "98765.4"
HOW_MANY = {"setsid": 2, "double fork": 3, "cleared environment": 2}
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
        print("full", flush=True)
"""


FLOOD = """
import os
os.chdir(os.environ["HOME"])
os.mkdir("many")
os.chdir("many")
count = 0
try:
    while True:
        os.mknod(str(count))
        count += 1
except OSError as error:
    print(error.errno, count)
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


def of_the_shape(lines: list[str], shape: str) -> list[str]:
    """Return the processes a shape is made of: not the shell that only has the mark in its script."""
    if shape == "exec storm":
        return [line for line in lines if "while :" in line]
    if shape == "stopped":
        return [line for line in lines if line.startswith("T ") and MARK in line]
    return [line for line in lines if line.split()[1:] == ["sleep", MARK]]


@pytest.mark.parametrize("shape", SHAPES)
async def test_nothing_survives_a_time_limit(docker_backend: DockerBackend, small_base: BaseTree, shape: str) -> None:
    results: list[ExecResult] = []

    async def run(sandbox: Sandbox) -> None:
        results.append(await sandbox.exec(["sh", "-c", SHAPES[shape]], timeout=1.5))

    async with docker_backend.open(environment(), small_base) as sandbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, sandbox)
            # The negative control: the very look that finds nothing afterwards finds the shape while it runs.
            while len(of_the_shape(await processes(sandbox), shape)) < HOW_MANY.get(shape, 1):
                assert not results, "it ended before it was seen"
        (result,) = results
        assert (result.timed_out, result.exit_code, result.stdout) == (True, None, b"begun\n")
        assert result.seconds < 2
        assert await processes(sandbox) == []


async def test_what_hides_from_a_second_command_ends_with_the_last_one(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    """A new session and a cleared environment hide whose a process is while another command runs, and no longer."""
    async with docker_backend.open(environment(), small_base) as sandbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(sandbox.exec, ["sh", "-c", "until [ -e over ]; do :; done"], timeout=30))
            await sandbox.exec(["sh", "-c", SHAPES["cleared environment"]], timeout=0.5)
            await sandbox.exec(["touch", "over"], timeout=30)
        assert await processes(sandbox) == []


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
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(sandbox.exec, ["sh", "-c", SHAPES["double fork"]], timeout=60))
            while len(of_the_shape(await processes(sandbox), "double fork")) < HOW_MANY["double fork"]:
                pass
            tasks.cancel_scope.cancel()
        assert await processes(sandbox) == []


async def test_a_background_process_that_holds_the_output_does_not_hold_the_answer(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["sh", "-c", f"sleep {MARK} & setsid sleep {MARK} & echo said"], timeout=60)
        assert (result.exit_code, result.stdout, result.stragglers) == (0, b"said\n", 2)
        assert result.seconds < 1
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
        result = await sandbox.exec(bomb, timeout=1.5)
        assert b"begun" in result.stdout
        # Otherwise it was no bomb: the limit on processes was never met.
        assert b"full" in result.stdout or b"ork" in result.stderr
        assert result.seconds < 6.5
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


async def test_a_flooded_work_tree_can_be_set_back_whatever_git_ignores(
    docker_backend: DockerBackend, tmp_path: Path
) -> None:
    base = make_base(tmp_path / "ignoring", {"a.txt": b"a\n", ".gitignore": b"*.log\n"})
    mine = Snapshot({"a.txt": FileState("100644", bytes(MIB))})
    async with docker_backend.open(environment(disk=64 * MIB), base) as sandbox:
        full = await sandbox.exec(["sh", "-c", "rm -rf .git; cat /dev/zero > big.log"], timeout=60)
        assert full.exit_code != 0
        await sandbox.restore(mine)
        assert await sandbox.snapshot() == mine


async def test_too_many_files_hit_the_inode_limit_not_the_host(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["df", "--output=itotal", "/workspace", "/tmp", "/home/agent"], timeout=30)
        flood = await sandbox.exec(["python3", "-c", FLOOD], timeout=100)
        said = [int(word) for word in flood.stdout.split()]
        assert (await sandbox.exec(["sh", "-c", "echo > ~/one-more"], timeout=30)).exit_code != 0
        await sandbox.exec(["sh", "-c", "rm -r ~/many"], timeout=30)
        assert (await sandbox.exec(["sh", "-c", "echo > ~/one-more"], timeout=30)).exit_code == 0
    assert [int(number) for number in result.stdout.split()[1:]] == [400 * 1024, 200 * 1024, 50 * 1024]
    assert said[0] == errno.ENOSPC
    assert 50_000 < said[1] < 50 * 1024


MEASURED = """
import sys
from pathlib import Path
import anyio
from sandbox.docker import backend
from tests.sandbox.trees import environment, make_base

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

async def main():
    base = make_base(Path(sys.argv[1]), {"a": b"a"})
    async with backend().open(environment(), base) as sandbox:
        await sandbox.exec(["sh", "-c", "head -c 10M /dev/zero"], timeout=30, keep_bytes=1000)
        before = peak()
        result = await sandbox.exec(["sh", "-c", "head -c 1G /dev/zero"], timeout=100, keep_bytes=int(sys.argv[2]))
        print(result.stdout_bytes, len(result.stdout), peak() - before)
anyio.run(main)
"""


def growth(folder: Path, keep_bytes: int) -> tuple[int, int, int]:
    """Return (bytes written, bytes kept, kilobytes the runner grew) of a gigabyte of output, in a runner of its own."""
    command = [sys.executable, "-c", MEASURED, str(folder), str(keep_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    written, kept, kilobytes = map(int, done.stdout.split())
    return written, kept, kilobytes


def test_a_gigabyte_of_output_costs_the_runner_nothing(tmp_path: Path) -> None:
    written, kept, kilobytes = growth(tmp_path, 100_000)
    assert (written, kept) == (1 << 30, 100_000)
    assert kilobytes < 10_000
    # The negative control: what is kept does count, so the measure is not blind.
    assert growth(tmp_path / "control", 24 << 20)[2] > 20_000


async def test_endless_output_ends_with_its_time(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        endless = await sandbox.exec(["yes"], timeout=0.5, keep_bytes=1000)
    assert (endless.timed_out, endless.stdout) == (True, b"y\n" * 500)
    assert endless.stdout_bytes > 1000
    assert endless.seconds < 2
