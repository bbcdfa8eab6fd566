"""The live table of a run on a terminal: each stage's attempt, time, tokens, cost and last action."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.config.settings import Limits
from pipeline.reporting.progress import Progress, StageProgress
from pipeline.reporting.wording import arriving, clock_time, money
from pipeline.surface import Heard
from stages.artifacts import STAGES, StageName

REFRESH_PER_SECOND = 4
NOTHING: Mapping[StageName, Heard] = {}
STYLES = {"passed": "green", "approve": "green", "red": "red", "rejected": "red", "timed_out": "red"}


class View(Protocol):
    """What the table is drawn from."""

    progress: Progress
    limits: Limits
    stream: TextIO
    heard: dict[StageName, Heard]

    @property
    def clock(self) -> "Clock": ...


class Clock(Protocol):
    """Monotonic seconds."""

    def __call__(self) -> float: ...


class Drawing:
    """Drawn anew at every refresh, so that elapsed times move without an event."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __rich__(self) -> Group:
        view = self._view
        return drawn(view.progress, view.limits, view.clock(), view.heard)


def shown(view: View) -> AbstractContextManager[object]:
    """Return a context in which the table is on the view's stream."""
    console = Console(file=view.stream)
    # Transient: what a command prints at its end says the same and more.
    return Live(
        Drawing(view), console=console, refresh_per_second=REFRESH_PER_SECOND, redirect_stdout=False, transient=True
    )


def drawn(progress: Progress, limits: Limits, now: float, heard: Mapping[StageName, Heard] = NOTHING) -> Group:
    """Return the table and a line with the run's totals. Text of models is never read as markup."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for name in ("stage", "attempt", "rung", "time", "tokens", "cost"):
        table.add_column(name, no_wrap=True)
    for name in ("model", "last action"):  # these give way first on a narrow terminal; their cells are cut, not wrapped
        table.add_column(name)
    for stage in STAGES:
        if stage in progress.stages:
            table.add_row(*_cells(stage, progress.stages[stage], now, heard.get(stage)))
    cap = f" of ${limits.cost}" if limits.cost is not None else ""
    totals = f"{progress.tokens:,} of {limits.tokens:,} tokens, {money(progress.cost)}{cap}"
    return Group(table, Text(totals, style="bold"), _cut(progress.action, "dim"))


def _cells(name: str, stage: StageProgress, now: float, heard: Heard | None) -> list[Text]:
    time = f"{clock_time(stage.elapsed(now))} / {clock_time(stage.timeout)}" if stage.attempt else ""
    counts = (str(stage.attempt or ""), str(stage.rung or ""), time, f"{stage.tokens:,}", money(stage.cost))
    action = arriving(heard) if heard else stage.action
    outcome = _cut(stage.outcome.replace("_", " ") or action, STYLES.get(stage.outcome, ""))
    return [Text(f"{name} {stage.item}" if stage.item else name), *map(Text, counts), _cut(stage.model), outcome]


def _cut(text: str, style: str = "") -> Text:
    return Text(text, style=style, overflow="ellipsis", no_wrap=True)
