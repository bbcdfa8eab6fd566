"""Measures mini-swe-agent's Docker environment; runs in the peer's own virtual environment and prints JSON.

With the class `Plain` below instead, it measures what `docker run` and `docker exec` alone come to.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = 100


class Plain:
    """The least a program can do: one container, one `docker exec` per command."""

    def __init__(self, image: str) -> None:
        started = subprocess.run(["docker", "run", "-d", "--rm", image, "sleep", "2h"], capture_output=True, check=True)
        self.container_id = started.stdout.decode().strip()

    def execute(self, action: dict[str, Any], timeout: int = 30) -> object:
        command = ["docker", "exec", self.container_id, *action["argv"]]
        return subprocess.run(command, capture_output=True, check=False, timeout=timeout)


def environment(which: str, image: str) -> Any:
    """Start the contender."""
    if which == "docker":
        return Plain(image)
    # Only the peer's own virtual environment has it.
    from minisweagent.environments.docker import DockerEnvironment  # type: ignore[import-not-found]  # noqa: PLC0415

    return DockerEnvironment(image=image)


def peak() -> float:
    with Path("/proc/self/status").open(encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) / 1000


def clocked(rounds: int, call: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def remove(identifier: str) -> None:
    subprocess.run(["docker", "rm", "-f", identifier], capture_output=True, check=False)


def shell(command: str) -> dict[str, Any]:
    return {"command": command, "argv": ["bash", "-c", command]}


TRUE: dict[str, Any] = {"command": "true", "argv": ["true"]}


def measure(which: str, image: str, folder: str, change: str, rounds: int) -> dict[str, float]:
    found: dict[str, float] = {}
    made: list[Any] = []

    def start() -> None:
        made.append(environment(which, image))

    ready = clocked(max(5, rounds // 20), start)
    found["ready"], found["ready_worst"] = statistics.median(ready), max(ready)
    for each in made[1:]:
        remove(each.container_id)
    box = made[0]
    found["ping"] = found["true"] = statistics.median(clocked(rounds // 4, lambda: box.execute(TRUE)))
    copy = ["docker", "cp", f"{folder}/.", f"{box.container_id}:/tmp/repository"]
    inject = clocked(3, lambda: subprocess.run(copy, check=True, capture_output=True))
    # The peer has no way in of its own: its users build the repository into the image, or copy it like this.
    found["inject"] = statistics.median(inject)
    git = "git -c safe.directory=* -C /tmp/repository"
    box.execute(shell(f"cd /tmp/repository && {change}"))
    take = f"{git} add -A && {git} diff --cached --binary HEAD"
    found["extract"] = statistics.median(clocked(3, lambda: box.execute(shell(take))))
    remove(box.container_id)
    session = clocked(1, lambda: run_session(which, image, folder, take))
    found["session"] = session[0]
    return found


def run_session(which: str, image: str, folder: str, take: str) -> None:
    box = environment(which, image)
    subprocess.run(["docker", "cp", f"{folder}/.", f"{box.container_id}:/tmp/repository"], check=True)
    for _ in range(CALLS):
        box.execute(TRUE)
    box.execute(shell(take))
    remove(box.container_id)


def output(which: str, image: str) -> float:
    box = environment(which, image)
    try:
        box.execute(shell("head -c 10M /dev/zero"))
        before = peak()
        box.execute(shell("head -c 1G /dev/zero"), timeout=300)
        return peak() - before
    finally:
        remove(box.container_id)


if __name__ == "__main__":
    task, which, image = sys.argv[1:4]
    os.environ["MSWEA_SILENT_STARTUP"] = "1"
    if task == "measure":
        print(json.dumps(measure(which, image, sys.argv[4], sys.argv[5], int(sys.argv[6]))), flush=True)
        os._exit(0)
    if task == "output":
        print(output(which, image), flush=True)
        os._exit(0)
    box = environment(which, image)
    print("container", box.container_id, flush=True)
    box.execute(shell("setsid sleep 100 & sleep 100"), timeout=100)
    signal.pause()
