"""How long the command takes to start, as a ratio of a bare `python -c pass`."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 15
BARE = (sys.executable, "-c", "pass")
COMMAND = str(Path(sys.executable).with_name("stagewright"))
CONFIG = str(ROOT / "examples" / "demo" / "pipeline.yaml")
CANDIDATES = {
    "--version": (COMMAND, "--version"),
    "--help": (COMMAND, "--help"),
    "check --config-only": (COMMAND, "check", "--config-only", "--config", CONFIG),
}


def seconds(command: tuple[str, ...]) -> float:
    """Run a command once and return how long it took; it has to succeed."""
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Take turns, so that a busy moment hits every candidate, and print the medians."""
    commands = {"python -c pass": BARE, **CANDIDATES}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(command))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    bare = medians["python -c pass"]
    for name, median in medians.items():
        print(f"{name:<20} {median * 1000:7.1f} ms  {median / bare:5.1f} x")


if __name__ == "__main__":
    main()
