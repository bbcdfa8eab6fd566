"""Clocks and memory of the process that measures."""

import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path


async def times(rounds: int, call: Callable[[], Awaitable[object]]) -> list[float]:
    """Return how many milliseconds each round took."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


async def median(rounds: int, call: Callable[[], Awaitable[object]]) -> float:
    """Return the median of some rounds in milliseconds."""
    return statistics.median(await times(rounds, call))


def peak_megabytes() -> float:
    """Return the most memory this process has used."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1000
