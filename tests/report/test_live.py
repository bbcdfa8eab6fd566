import io
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from pipeline.events import CallRefused, CallReserved, CallSettled, CallWaiting
from pipeline.reporting.live import LiveView
from pipeline.reporting.live_table import drawn
from pipeline.reporting.progress import Progress, advance
from pipeline.surface import Heard
from stages.artifacts import StageName
from tests.report.story import FIRST, SECOND, SETTINGS, SOLVED, TO_FIRST_ATTEMPT, stored

ROOT = Path(__file__).parents[2]
SETTLED = CallSettled(
    key="k", stage="coder", attempt=1, turn=0, vendor="scripted", model="small", tokens=1200, usage={}, cost="0.03"
)
RESERVED = CallReserved(
    key="k",
    stage="coder",
    attempt=1,
    turn=0,
    try_number=1,
    vendor="scripted",
    model="small",
    tokens=9000,
    input_bound=1000,
    max_output_tokens=8000,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Ticks:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def picture(progress: Progress, now: float, *, width: int = 140, heard: Mapping[StageName, Heard] | None = None) -> str:
    """Return the table as text."""
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True).print(drawn(progress, SETTINGS.limits, now, heard or {}))
    return stream.getvalue()


def test_without_a_terminal_each_event_is_one_line_without_colour() -> None:
    stream = io.StringIO()
    with LiveView(stream, SETTINGS.limits, Ticks()) as view:
        for event in stored(SOLVED):
            view.on_event(event)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(SOLVED)
    assert lines[0] == "10:00:00 run of ticket late-fees on 0123456789ab"
    assert lines[-1] == "10:00:30 solved: branch stagewright/late-fees"
    assert "\x1b" not in stream.getvalue()


def test_a_reservation_is_not_worth_a_line() -> None:
    stream = io.StringIO()
    with LiveView(stream, SETTINGS.limits, Ticks()) as view:
        view.on_event(stored([RESERVED])[0])
    assert stream.getvalue() == ""


def test_the_table_shows_attempt_rung_time_tokens_cost_and_last_action() -> None:
    progress = Progress()
    for event in (*TO_FIRST_ATTEMPT, SETTLED, SECOND, SETTLED):
        progress = advance(progress, event, 100.0)
    shown = picture(progress, 112.0)
    coder = next(line for line in shown.splitlines() if line.startswith("coder once"))
    cells = ["coder", "once", "2", "2", "0:12", "/", "1:00", "2,400", "$0.0600", "scripted/strong"]
    assert coder.split()[: len(cells)] == cells
    assert "2,400 of 400,000 tokens, $0.0600 of $2.50" in shown


def test_a_narrow_terminal_cuts_the_model_and_the_last_action_first() -> None:
    progress = advance(Progress(), SECOND.model_copy(update={"model": "a-model-with-quite-a-long-name"}), 100.0)
    assert "coder once 2       2    0:12 / 1:00 0      $0.0000" in picture(progress, 112.0, width=80)


def test_an_ended_attempt_keeps_its_time_and_shows_its_outcome() -> None:
    progress = Progress()
    for when, event in enumerate(TO_FIRST_ATTEMPT):
        progress = advance(progress, event, 100.0 + when)
    coder = next(line for line in picture(progress, 500.0).splitlines() if line.startswith("coder once"))
    assert "0:03 / 1:00" in coder
    assert coder.rstrip().endswith("red")


def test_an_unknown_price_makes_the_cost_a_dash() -> None:
    progress = advance(Progress(), SETTLED.model_copy(update={"cost": None}), 1.0)
    assert progress.cost is None
    assert advance(progress, SETTLED, 2.0).cost is None
    assert advance(Progress(), SETTLED, 2.0).cost == Decimal("0.03")


def test_markup_of_a_model_is_shown_as_it_is() -> None:
    begun = FIRST.model_copy(update={"item": "[red]x[/red]"})
    assert "[red]x[/red]" in picture(advance(Progress(), begun, 1.0), 2.0)


def test_on_a_terminal_the_table_is_drawn() -> None:
    terminal = Terminal()
    with LiveView(terminal, SETTINGS.limits, Ticks()) as view:
        for event in stored(TO_FIRST_ATTEMPT):
            view.on_event(event)
    assert "coder once" in terminal.getvalue()
    assert "10:00:00" not in terminal.getvalue()


def test_a_reply_that_is_arriving_is_shown_until_the_next_event() -> None:
    terminal = Terminal()
    view = LiveView(terminal, SETTINGS.limits, Ticks())
    for event in stored((*TO_FIRST_ATTEMPT, SECOND, RESERVED)):
        view.on_event(event)
    assert view.hear is not None
    shown = []
    for heard in (Heard("thinking", 0), Heard("text", 300), Heard("tool", 4400)):
        view.hear("coder", heard)
        shown.append(picture(view.progress, 112.0, heard=view.heard))
    assert "thinking" in shown[0]
    assert "answering, ~83 tokens" in shown[1]
    assert "writing a tool call, ~1.2k tokens" in shown[2]
    view.on_event(stored([SETTLED])[0])
    assert "writing" not in picture(view.progress, 112.0, heard=view.heard)


def test_without_a_terminal_nobody_listens_to_pieces_of_replies() -> None:
    assert LiveView(io.StringIO(), SETTINGS.limits, Ticks()).hear is None


def test_refusals_waits_and_further_tries_are_seen() -> None:
    progress = Progress()
    for event in (*TO_FIRST_ATTEMPT, SECOND, RESERVED):
        progress = advance(progress, event, 100.0)
    refused = CallRefused(
        key="k", stage="coder", attempt=2, vendor="v", model="m", tokens=9000, error="overloaded", message="busy (529)"
    )
    waiting = CallWaiting(key="k", stage="coder", reason="retry", error="overloaded", seconds=30.0)
    again = RESERVED.model_copy(update={"try_number": 2})
    pictures = []
    for event in (refused, waiting, again):
        progress = advance(progress, event, 101.0)
        pictures.append(picture(progress, 112.0, width=200))
    assert "529" in pictures[0]
    assert "coder waits up to 30.0 s for overloaded" in pictures[1]
    assert "coder call 0, try 2, reserves 9,000 tokens" in pictures[2]


def test_the_terminal_library_is_loaded_for_a_terminal_alone() -> None:
    code = (
        "import io, sys; from pipeline.reporting.live import LiveView; from pipeline.config.settings import Limits\n"
        "with LiveView(io.StringIO(), Limits(tokens=1, wall_clock=1), lambda: 0.0): print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
