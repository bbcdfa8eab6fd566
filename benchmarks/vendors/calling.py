"""What one call costs beside the model's own time, in milliseconds on a loopback server."""

import statistics
import time
from contextlib import AsyncExitStack

from benchmarks.vendors.contenders import OURS, PLAIN, PLAIN_ANEW, SDK, contenders
from benchmarks.vendors.server import SERVERS, served

Medians = dict[str, dict[str, float]]
WARM_UP = 5


async def measure(rounds: int) -> Medians:
    """Return each contender's median by vendor; they take turns, so that a busy moment hits all of them."""
    found: Medians = {}
    for vendor in SERVERS:
        with served(vendor) as url:
            found[vendor] = await _of_vendor(vendor, url, rounds)
    return found


async def _of_vendor(vendor: str, url: str, rounds: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        calls = await contenders(vendor, url, stack)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(WARM_UP + rounds):
            for name, call in calls.items():
                begun = time.perf_counter()
                await call()
                times[name].append((time.perf_counter() - begun) * 1000)
    return {name: statistics.median(taken[WARM_UP:]) for name, taken in times.items()}


def table(found: Medians) -> str:
    """Return the table as Markdown."""
    head = f"| | {PLAIN} | {PLAIN_ANEW} | {SDK} | {OURS} | of the bare SDK | of plain, new connection |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for vendor, medians in found.items():
        cells = [f"{medians[name]:.2f} ms" for name in (PLAIN, PLAIN_ANEW, SDK, OURS)]
        cells += [f"{medians[OURS] / medians[name]:.2f} x" for name in (SDK, PLAIN_ANEW)]
        lines.append(f"| `{vendor}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)
