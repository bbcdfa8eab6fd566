"""What a sandbox costs: its start, a sign of life and a command, against `docker exec` on the same machine."""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from sandbox.base import BaseTree, Environment, Sandbox
from sandbox.docker import backend
from sandbox.image import DEFAULT_IMAGE

GIB = 1 << 30


def empty_base(folder: Path) -> BaseTree:
    """Return the base tree of a repository with one empty commit."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}

    def git(*arguments: str, stdin: bytes = b"") -> bytes:
        command = ["git", "-C", str(folder), "-c", "user.name=b", "-c", "user.email=b@example.org", *arguments]
        return subprocess.run(command, input=stdin, env=settings, capture_output=True, check=True).stdout

    git("init", "-q", ".")
    git("commit", "-q", "--allow-empty", "-m", "base")
    objects = git("rev-parse", "HEAD", "HEAD^{tree}")
    return BaseTree(objects.split()[0].decode(), git("pack-objects", "--stdout", "-q", stdin=objects), {})


async def median(rounds: int, call: Callable[[], Awaitable[object]]) -> float:
    """Return the median of some rounds in milliseconds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


async def measure(rounds: int) -> dict[str, float]:
    """Return each figure in milliseconds."""
    environment = Environment(image=DEFAULT_IMAGE, memory=2 * GIB, cpus=2, pids=256, disk=GIB // 2)
    with tempfile.TemporaryDirectory() as folder:
        base = empty_base(Path(folder))
    docker = backend()

    async def ready() -> None:
        async with docker.open(environment, base):
            pass

    found = {"start to ready to gone": await median(max(3, rounds // 20), ready)}
    async with docker.open(environment, base) as sandbox:
        found |= await measure_calls(rounds, sandbox, sandbox.container_id)
    return found


async def measure_calls(rounds: int, sandbox: Sandbox, container: str) -> dict[str, float]:
    """Return what calls into one container cost."""
    await sandbox.write("file", bytes(20_000))
    return {
        "read of 20 kB": await median(rounds, lambda: sandbox.read("file", limit=20_000)),
        "command `true`": await median(rounds, lambda: sandbox.exec(["true"], timeout=10)),
        "docker exec true": await median(
            max(5, rounds // 10), lambda: anyio.run_process(["docker", "exec", container, "true"])
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    found = anyio.run(measure, parser.parse_args().rounds)
    reference = found["docker exec true"]
    print(f"{'':24} {'median':>10}   share of `docker exec`")
    for name, milliseconds in found.items():
        print(f"{name:24} {milliseconds:7.2f} ms   {milliseconds / reference:.3f}")


if __name__ == "__main__":
    main()
