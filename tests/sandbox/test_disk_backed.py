"""A work tree on disk: the contract holds, its size is watched, and no volume is ever left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from docker import DockerClient

from sandbox.base import BaseTree, FileState, Sandbox, SandboxLostError, Snapshot
from sandbox.docker import DockerBackend, backend
from sandbox.resident import PIECE_BYTES, ResidentSandbox
from tests.sandbox.conformance import Opener, SandboxConformance, shell
from tests.sandbox.trees import MIB, environment, make_base

pytestmark = [pytest.mark.docker]
Volumes = Callable[[], set[str]]
LIMIT = 300 * MIB
HELD = """import os
held = []
while True:
    file = open("f", "wb")
    file.write(bytes(20_000_000))
    file.flush()
    held.append(file)
    os.unlink("f")
"""
RUNNER = """
import sys
from pathlib import Path
import anyio
from sandbox.docker import backend
from tests.sandbox.trees import environment, make_base
async def main():
    base = make_base(Path(sys.argv[1]), {"a": b"a"})
    inside = environment(disk=300 << 20, labels={"stagewright.run": sys.argv[2]})
    async with backend().open(inside, base) as sandbox:
        await sandbox.exec(["sh", "-c", "head -c 9000000 /dev/zero > much"], timeout=1000)
        print(sandbox.container_id, flush=True)
        await sandbox.exec(["sleep", "1000"], timeout=1000)
anyio.run(main)
"""


def roomy(backing: DockerBackend, base: BaseTree) -> AbstractAsyncContextManager[ResidentSandbox]:
    """Open a sandbox whose `disk` does not fit into its memory."""
    return backing.open(environment(disk=LIMIT), base)


@pytest.fixture
def volumes(engine: DockerClient) -> Volumes:
    """Return a function that lists our volumes."""

    def ours() -> set[str]:
        return {str(volume.name) for volume in engine.volumes.list(filters={"label": "app=stagewright"})}

    return ours


class TestDiskBackedSandbox(SandboxConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        docker = backend()

        @asynccontextmanager
        async def opened(base: BaseTree) -> AsyncIterator[Sandbox]:
            async with roomy(docker, base) as sandbox:
                yield sandbox

        return opened


def kind_of_root(engine: DockerClient, identifier: str) -> str:
    """Return what the engine mounted at the work tree."""
    mounts = engine.api.inspect_container(identifier)["Mounts"]
    return next((str(mount["Type"]) for mount in mounts if mount["Destination"] == "/workspace"), "memory")


@pytest.mark.anyio
async def test_the_volume_lives_as_long_as_its_container(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient, volumes: Volumes
) -> None:
    before = volumes()
    async with roomy(docker_backend, small_base) as sandbox:
        assert kind_of_root(engine, sandbox.container_id) == "volume"
        assert sandbox.placement is not None
        assert sandbox.placement.where == "disk"
        assert len(volumes() - before) == 1
    assert volumes() <= before
    async with docker_backend.open(environment(), small_base) as sandbox:
        assert kind_of_root(engine, sandbox.container_id) == "memory"


def test_a_killed_runner_leaves_no_volume(tmp_path: Path, engine: DockerClient, volumes: Volumes) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path / "r"), f"disk-{os.getpid()}"], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        identifier = runner.stdout.readline().strip()
        mounts = engine.api.inspect_container(identifier)["Mounts"]
        (name,) = {str(mount["Name"]) for mount in mounts if mount["Destination"] == "/workspace"}
        assert name in volumes()
        runner.send_signal(signal.SIGKILL)
        engine.api.wait(identifier, timeout=10, condition="removed")
    assert name not in volumes()


@pytest.mark.anyio
async def test_a_tree_that_grows_over_its_limit_ends_the_command_truthfully(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with roomy(docker_backend, small_base) as sandbox:
        flood = "echo begun; n=0; while :; do n=$((n+1)); head -c 20000000 /dev/zero > flood.$n; done"
        done = await sandbox.exec(["sh", "-c", flood], timeout=60)
        assert (done.disk_full, done.exit_code, done.timed_out, done.oom) == (True, None, False, False)
        assert done.stdout == b"begun\n"
        # What is too much can be taken away again, and nothing added before that.
        more = await sandbox.exec(["sh", "-c", "while :; do head -c 20000000 /dev/zero >> more; done"], timeout=60)
        assert more.disk_full
        tidy = await sandbox.exec(["sh", "-c", "rm -f flood.* more; du -sm . | cut -f1"], timeout=60)
        assert (tidy.disk_full, tidy.exit_code) == (False, 0)
        small = await sandbox.exec(["sh", "-c", "head -c 100000000 /dev/zero > fits; sleep 0.3"], timeout=60)
        assert (small.disk_full, small.exit_code) == (False, 0)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "flood",
    [
        pytest.param("mkdir dark; cd dark; chmod 300 .; {}", id="a folder nobody may list"),
        pytest.param("python3 -c '{held}'", id="deleted files kept open"),
        pytest.param("mkdir -p $(seq -s / 1 90); cd $(seq -s / 1 90); {}", id="a deep folder"),
    ],
)
async def test_growth_that_hides_is_found(docker_backend: DockerBackend, small_base: BaseTree, flood: str) -> None:
    each = "n=0; while :; do n=$((n+1)); head -c 20000000 /dev/zero > flood.$n; done"
    script = flood.replace("{held}", HELD).replace("{}", each)
    async with roomy(docker_backend, small_base) as sandbox:
        done = await sandbox.exec(["sh", "-c", script], timeout=60)
    assert done.disk_full, done


@pytest.mark.anyio
async def test_one_file_cannot_pass_the_limit_at_all(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with roomy(docker_backend, small_base) as sandbox:
        assert sandbox.placement is not None
        done = await sandbox.exec(["sh", "-c", "exec truncate -s 400M big"], timeout=60)
        assert done.exit_code != 0
        assert await shell(sandbox, "stat -c %s big 2>/dev/null || echo 0") == b"0\n"


@pytest.mark.anyio
async def test_a_tree_far_over_its_limit_is_a_lost_sandbox(
    docker_backend: DockerBackend, small_base: BaseTree, volumes: Volumes
) -> None:
    before = volumes()
    async with roomy(docker_backend, small_base) as sandbox:
        await sandbox.limit_work_tree(-(1 << 29))
        ended = await sandbox.exec(["sh", "-c", "head -c 50000000 /dev/zero > x; sleep 60"], timeout=60)
        assert ended.disk_full
        with pytest.raises(SandboxLostError):
            await sandbox.exec(["true"], timeout=60)
    assert volumes() <= before


@pytest.mark.anyio
async def test_two_gigabytes_do_not_end_a_sandbox_with_one_gigabyte_of_memory(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(disk=3 << 30, memory=1 << 30), small_base) as sandbox:
        done = await sandbox.exec(["sh", "-c", "head -c 2000000000 /dev/zero > large; stat -c %s large"], timeout=100)
    assert (done.exit_code, done.stdout) == (0, b"2000000000\n")


def incompressible(size: int) -> bytes:
    """Return bytes no pack makes smaller."""
    return os.urandom(size)


@pytest.mark.anyio
async def test_a_pack_of_many_frames_goes_in_and_a_small_change_comes_out(
    docker_backend: DockerBackend, tmp_path: Path
) -> None:
    files = {f"blob{n}": incompressible(9 * MIB) for n in range(3)}
    base = replace(make_base(tmp_path / "large", {**files, "a": b"a\n"}), size=27 * MIB)
    assert len(base.pack) > 3 * PIECE_BYTES
    async with docker_backend.open(environment(disk=100 * MIB), base) as sandbox:
        assert sandbox.placement is not None
        assert sandbox.placement.where == "disk"
        await sandbox.write("a", b"b\n")
        changed = await sandbox.snapshot()
        assert list(changed.files) == ["a"]
        assert await shell(sandbox, "git status --porcelain") == b" M a\n"


@pytest.mark.anyio
async def test_input_of_many_frames_reaches_a_command_that_reads_it_and_one_that_does_not(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    content = incompressible(20 * MIB + 7)
    async with docker_backend.open(environment(), small_base) as sandbox:
        read = await sandbox.exec(["cat"], timeout=60, stdin=content, keep_bytes=len(content))
        assert read.stdout == content
        ignored = await sandbox.exec(["sh", "-c", "echo done"], timeout=60, stdin=content)
        assert (ignored.exit_code, ignored.stdout) == (0, b"done\n")
        slow = await sandbox.exec(["sleep", "60"], timeout=0.5, stdin=content)
        assert slow.timed_out
        with anyio.move_on_after(0.3):
            await sandbox.exec(["sleep", "60"], timeout=60, stdin=content)
        assert await shell(sandbox, "pgrep sleep || echo none") == b"none\n"


@pytest.mark.anyio
async def test_a_first_restore_is_exact_whether_or_not_something_was_done_before_it(
    docker_backend: DockerBackend, tmp_path: Path
) -> None:
    base = make_base(tmp_path / "repository")
    wanted = Snapshot({"app.py": FileState("100755", b"x\n"), "data/raw.bin": None, "new/a": FileState("100644", b"a")})
    for mess in ("true", "rm -rf .git deep; echo stray > stray; chmod 700 data"):
        async with docker_backend.open(environment(), base) as sandbox:
            if mess != "true":
                await shell(sandbox, mess)
            await sandbox.restore(wanted)
            assert await sandbox.snapshot() == wanted
            await sandbox.restore(Snapshot())
            assert await sandbox.snapshot() == Snapshot()
