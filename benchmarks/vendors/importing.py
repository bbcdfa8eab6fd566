"""How long each SDK takes to import in a fresh process, beside a bare interpreter."""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

BARE = "python -c pass"
STATEMENTS = {
    BARE: "pass",
    "httpx2": "import httpx2",
    "anthropic": "import anthropic",
    "openai": "import openai",
    "google.genai": "import google.genai",
    "our tables of all vendors": "from pipeline.loader import surface, surface_names; [*map(surface, surface_names())]",
}


@dataclass(frozen=True)
class Import:
    """One statement's median in milliseconds, its spread, and how many times the bare interpreter that is."""

    name: str
    median: float
    least: float
    most: float
    ratio: float


def measure(rounds: int) -> list[Import]:
    """Take turns, so that a busy moment hits every statement; the first round only warms the disk."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            times[name].append(_milliseconds(statement))
    warm = {name: taken[1:] for name, taken in times.items()}
    bare = statistics.median(warm[BARE])
    return [_row(name, taken, bare) for name, taken in warm.items()]


def _row(name: str, taken: list[float], bare: float) -> Import:
    median = statistics.median(taken)
    return Import(name, median, min(taken), max(taken), median / bare)


def _milliseconds(statement: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", statement], check=True)
    return (time.perf_counter() - begun) * 1000


def table(rows: list[Import]) -> str:
    """Return the table as Markdown."""
    lines = ["| fresh process | median | from, to | ratio |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {row.median:,.0f} ms | {row.least:,.0f}, {row.most:,.0f} ms | {row.ratio:.1f} x |"
        for row in rows
    ]
    return "\n".join(lines)
