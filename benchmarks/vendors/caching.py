"""How much of a long Coder session's input is read from the vendor's cache."""

from dataclasses import dataclass

from tests.vendors.bench import BENCHES, CHAT, TEXT
from tests.vendors.coder_session import TURNS, coder_attempts

LEAST_SHARE = 0.9
SESSIONS = {**{bench.vendor: bench for bench in BENCHES}, "compatible": CHAT, "compatible, tools as text": TEXT}


@dataclass(frozen=True)
class Cached:
    """One session: its calls, its input tokens, and how many of them came from the cache."""

    vendor: str
    calls: int
    input: int
    read: int
    share: float


def measure() -> list[Cached]:
    """Hold the session with each protocol; the loopback servers find prefixes as the vendors' caches do."""
    found = []
    for vendor, bench in SESSIONS.items():
        (attempt,) = coder_attempts(bench, TURNS)
        total, read = (sum(getattr(usage, name) for usage in attempt.usages) for name in ("input", "cache_read"))
        found.append(Cached(vendor, len(attempt.usages), total, read, attempt.cached_share))
    return found


def table(rows: list[Cached]) -> str:
    """Return the table as Markdown."""
    lines = ["| session | calls | input tokens | read from cache | share | limit |", "|---|---|---|---|---|---|"]
    for row in rows:
        verdict = "met" if row.share >= LEAST_SHARE else "MISSED"
        lines.append(
            f"| {row.vendor} | {row.calls} | {row.input:,} | {row.read:,} | {row.share:.1%} | "
            f"≥ {LEAST_SHARE:.0%}, {verdict} |"
        )
    return "\n".join(lines)
