"""A figure of one contender, and how it reads beside the others."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["ms", "MB"]


@dataclass(frozen=True)
class Row:
    """What is measured, and the most ours may come to; `least_ratio` is how many times better than `docker exec`."""

    name: str
    unit: Unit
    limit: float
    least_ratio: float | None = None


ROWS = {
    "ready": Row("ready sandbox, median (limit: idle machine)", "ms", 400),
    "ready_worst": Row("ready sandbox, slowest", "ms", 1500),
    "ping": Row("ping", "ms", 1),
    "true": Row("command `true`", "ms", 5, 15),
    "inject": Row("inject 100,000 lines", "ms", 1000),
    "extract": Row("extract a change of 33 files", "ms", 500),
    "kill": Row("kill -9 to nothing left", "ms", 2000),
    "growth": Row("runner's growth on 1 GB of output", "MB", 10),
    "idle": Row("idle container", "MB", 40),
    "session": Row("session of 100 calls", "ms", 1000),
}
Figures = dict[str, float]


def shown(value: float | None, unit: str) -> str:
    """Return a figure with its unit; None is a figure the contender has no way to."""
    if value is None:
        return "none"
    if value == float("inf"):
        return "stays"
    return f"{value:,.2f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def ratio(other: float | None, ours: float) -> str:
    """Return how many times ours the other comes to."""
    if other is None or other == float("inf"):
        return "-"
    times = other / max(ours, 0.01)
    return f"{times:,.1f} x" if times < 1000 else "> 1,000 x"


def verdict(row: Row, ours: float, reference: float | None) -> str:
    """Say whether the limit is met."""
    fast_enough = row.least_ratio is None or reference is None or reference / ours >= row.least_ratio
    return "met" if ours < row.limit and fast_enough else "MISSED"


def table(ours: Figures, engine: Figures, peer: Figures | None, peer_name: str) -> str:
    """Return the table as Markdown."""
    head = f"| | limit | Stagewright | | `docker exec` | ratio | {peer_name} | ratio |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for key, row in ROWS.items():
        mine, theirs = ours[key], (peer or {}).get(key)
        limit = f"< {row.limit:g} {row.unit}" + (f", ≥ {row.least_ratio:g} x" if row.least_ratio else "")
        cells = [row.name, limit, shown(mine, row.unit), verdict(row, mine, engine.get(key))]
        cells += [shown(engine.get(key), row.unit), ratio(engine.get(key), mine)]
        cells += [shown(theirs, row.unit), ratio(theirs, mine)] if peer is not None else ["not measured", "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
