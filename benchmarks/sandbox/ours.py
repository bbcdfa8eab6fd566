"""Stagewright's figures; as a program of its own it is the runner that is killed, or that meets a gigabyte."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import anyio
import docker
from docker import DockerClient

from benchmarks.sandbox.figures import Figures
from benchmarks.sandbox.repository import CHANGE
from benchmarks.sandbox.timing import median, peak_megabytes
from pipeline.git.base import read_base
from pipeline.git.command import Git
from sandbox.base import BaseTree, Environment
from sandbox.container import parameters
from sandbox.docker import backend, running_container
from sandbox.engine import open_engine
from sandbox.frames import Done
from sandbox.image import DEFAULT_IMAGE
from sandbox.reaper import owner_labels
from sandbox.resident import ResidentSandbox

GIB = 1 << 30
ENVIRONMENT = Environment(image=DEFAULT_IMAGE, memory=2 * GIB, cpus=2, pids=256, disk=GIB // 2)
CALLS = 100


def base_of(folder: Path, commit: str) -> BaseTree:
    """Return the base as a run reads it."""
    return read_base(Git(folder), commit)


async def measure(folder: Path, commit: str, rounds: int) -> Figures:
    """Return every figure."""
    base = base_of(folder, commit)
    found: Figures = {}
    ready = await _starts(max(5, rounds // 10))
    found["ready"], found["ready_worst"] = sorted(ready)[len(ready) // 2], max(ready)
    async with backend().open(ENVIRONMENT, base) as sandbox:
        found["true"] = await median(rounds, lambda: sandbox.exec(["true"], timeout=10))
        await sandbox.exec(["sh", "-c", CHANGE], timeout=30)
        found["extract"] = await median(5, sandbox.snapshot)
    found["inject"] = statistics.median(await _injections(folder, commit, 5))
    found["session"] = await median(3, lambda: _session(base))
    found |= await anyio.to_thread.run_sync(_as_programs, folder)
    return found | await _resting(rounds)


async def _starts(rounds: int) -> list[float]:
    """Return how long it took each time until an agent had greeted."""
    taken = []
    async with open_engine() as engine:
        for _ in range(rounds):
            begun = time.perf_counter()
            async with running_container(engine, parameters(ENVIRONMENT, owner_labels(""))):
                taken.append((time.perf_counter() - begun) * 1000)
    return taken


async def _injections(folder: Path, commit: str, rounds: int) -> list[float]:
    """Return how long it took each time from a commit on the host to a work tree in a new container."""
    taken = []
    async with open_engine() as engine:
        for _ in range(rounds):
            async with running_container(engine, parameters(ENVIRONMENT, owner_labels(""))) as (identifier, channel):
                begun = time.perf_counter()
                await ResidentSandbox(channel, identifier, base_of(folder, commit)).populate()
                taken.append((time.perf_counter() - begun) * 1000)
    return taken


async def _session(base: BaseTree) -> None:
    async with backend().open(ENVIRONMENT, base) as sandbox:
        for _ in range(CALLS):
            await sandbox.exec(["true"], timeout=10)
        await sandbox.snapshot()


async def _resting(rounds: int) -> Figures:
    async with (
        open_engine() as engine,
        running_container(engine, parameters(ENVIRONMENT, owner_labels(""))) as (identifier, channel),
    ):
        ping = await median(rounds * 5, lambda: channel.call(Done, {"op": "ping"}))
        return {"ping": ping, "idle": await engine.call(lambda client: megabytes(client, identifier))}


def megabytes(client: DockerClient, identifier: str) -> float:
    """Return what a container uses, page cache that can go at once left out."""
    memory = client.api.stats(identifier, stream=False)["memory_stats"]
    inactive = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    return float(memory["usage"] - inactive) / 1e6


def _as_programs(folder: Path) -> Figures:
    program = [sys.executable, "-m", "benchmarks.sandbox.ours", str(folder)]
    grown = subprocess.run([*program, "output"], capture_output=True, check=True, text=True).stdout
    client = docker.from_env()
    try:
        return {"growth": float(grown), "kill": _killed([*program, "wait"], client)}
    finally:
        client.close()


def _killed(program: list[str], client: DockerClient) -> float:
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        identifier = runner.stdout.readline().strip()
        begun = time.perf_counter()
        runner.kill()
        client.api.wait(identifier, timeout=30, condition="removed")
        return (time.perf_counter() - begun) * 1000


async def _program(folder: Path, task: str) -> None:
    commit = (await anyio.run_process(["git", "-C", str(folder), "rev-parse", "HEAD"])).stdout.decode().strip()
    async with backend().open(ENVIRONMENT, base_of(folder, commit)) as sandbox:
        if task == "wait":
            print(sandbox.container_id, flush=True)
            await sandbox.exec(["sh", "-c", "setsid sleep 1000 & sleep 1000"], timeout=1000)
        await sandbox.exec(["head", "-c", "10M", "/dev/zero"], timeout=30, keep_bytes=100_000)
        before = peak_megabytes()
        await sandbox.exec(["head", "-c", "1G", "/dev/zero"], timeout=100, keep_bytes=100_000)
        print(peak_megabytes() - before)


if __name__ == "__main__":
    anyio.run(_program, Path(sys.argv[1]), sys.argv[2])
