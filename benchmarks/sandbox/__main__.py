"""Print the table of what a sandbox costs, with each limit and whether it is met."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

from benchmarks.sandbox import others, ours
from benchmarks.sandbox.figures import Figures, table
from benchmarks.sandbox.repository import make


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--no-peer", action="store_true", help="leave mini-swe-agent out, and its installation")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-sandbox-") as name:
        folder = Path(name)
        commit = make(folder)
        load = os.getloadavg()[0]
        mine = anyio.run(ours.measure, folder, commit, arguments.rounds)
        engine = others.measure("docker", others.own_python(), folder, arguments.rounds)
        peer, title = (None, "mini-swe-agent") if arguments.no_peer else _peer(folder, arguments.rounds)
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, load {load:.1f} at the start\n")
    print(table(mine, engine, peer, title))


def _peer(folder: Path, rounds: int) -> tuple[Figures | None, str]:
    try:
        python, version = others.peer_python()
    except subprocess.CalledProcessError as error:
        print(f"mini-swe-agent could not be installed ({error}); its columns stay empty", file=sys.stderr)
        return None, "mini-swe-agent"
    return others.measure("mini-swe-agent", python, folder, rounds), f"mini-swe-agent {version}"


if __name__ == "__main__":
    main()
