"""The figures of `docker exec` alone and of mini-swe-agent, each measured in a process of its own."""

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import docker

from benchmarks.sandbox.figures import Figures
from benchmarks.sandbox.ours import megabytes
from benchmarks.sandbox.repository import CHANGE
from sandbox.image import DEFAULT_IMAGE

PROGRAM = Path(__file__).with_name("peer_program.py")
PACKAGE = "mini-swe-agent"
STILL_THERE_SECONDS = 5


def peer_python() -> tuple[str, str]:
    """Install the peer into a virtual environment of its own, once; return its Python and its version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stagewright" / "peers" / PACKAGE
    python = cache / "bin" / "python"
    if not (cache / ".complete").exists():
        venv.create(cache, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
        (cache / ".complete").touch()
    asked = f"from importlib.metadata import version; print(version('{PACKAGE}'))"
    version = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    return str(python), version


def measure(which: str, python: str, folder: Path, rounds: int) -> Figures:
    """Return a contender's figures; what stays for ever is infinite."""
    measured = _run(python, "measure", which, DEFAULT_IMAGE, str(folder), CHANGE, str(rounds))
    found: Figures = json.loads(measured)
    found["growth"] = float(_run(python, "output", which, DEFAULT_IMAGE))
    return found | _left_behind(which, python)


def _run(python: str, *arguments: str) -> str:
    done = subprocess.run(
        [python, str(PROGRAM), *arguments], capture_output=True, check=True, text=True, env=_environment()
    )
    return done.stdout.strip().splitlines()[-1]


def _environment() -> dict[str, str]:
    return {**os.environ, "MSWEA_SILENT_STARTUP": "1"}


def _left_behind(which: str, python: str) -> Figures:
    """Kill the runner and see how long its container stays; look at its memory before."""
    client = docker.from_env()
    program = [python, str(PROGRAM), "wait", which, DEFAULT_IMAGE]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=_environment()) as runner:
        assert runner.stdout is not None
        # The peer logs to stdout, too.
        named = next(line for line in runner.stdout if line.startswith("container "))
        identifier = named.split()[1]
        idle = megabytes(client, identifier)
        begun = time.perf_counter()
        runner.kill()
        try:
            client.api.wait(identifier, timeout=STILL_THERE_SECONDS, condition="removed")
            kill = (time.perf_counter() - begun) * 1000
        except (docker.errors.DockerException, OSError):
            kill = float("inf")
            client.api.remove_container(identifier, force=True)
        finally:
            client.close()
    return {"idle": idle, "kill": kill}


def own_python() -> str:
    """Return the interpreter for what needs no package."""
    return sys.executable
