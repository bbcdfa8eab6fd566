"""Runs that were recorded: events and calls as the database holds them, for whoever shows a run."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.config.settings import CheckSettings, Limits, Rung, Settings, StageSettings
from pipeline.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    Cause,
    CheckFinished,
    GateRefused,
    ItemAccepted,
    RunEnded,
    RunStarted,
    StageStarted,
)
from pipeline.memory.calls import CallRow
from pipeline.memory.journal import Stored
from pipeline.reporting.account import account
from pipeline.reporting.archive import ArchivedRun
from stages.artifacts import Failure, FileChange, Finding, Manifest, Outcome, Review, StageName, Ticket, WorkItem

RUN = "20261120-100000-000aaaaaa"
BEGAN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
BASE = "0123456789abcdef0123456789abcdef01234567"
TICKET = Ticket(id="late-fees", title="Late fees are charged twice", body="A member pays the fee twice.")
MANIFEST = Manifest(
    summary="Charge once",
    work_items=(
        WorkItem(
            id="once",
            title="Charge the fee once",
            files=(FileChange(path="fees.py", operation="modify"),),
            instructions="Charge it once.",
            tests=("tests/test_fees.py::test_once",),
        ),
    ),
)
RED = Failure(
    kind="checks",
    message="1 test is red",
    tests=("tests/test_fees.py::test_once",),
    excerpt="assert 20 == 10\n```\nE  fence",
)


def _stage(name: StageName, *models: str, **more: Any) -> StageSettings:
    rungs = tuple(Rung(vendor="scripted", model=model, timeout=60, max_output_tokens=8000) for model in models)
    return StageSettings(name=name, rungs=rungs, retry_budget=1, **more)


SETTINGS = Settings(
    limits=Limits(tokens=400_000, wall_clock=1200, cost=Decimal("2.50")),
    planner=_stage("planner", "planner"),
    coder=_stage("coder", "small", "strong", tokens=150_000),
    debugger=None,
    reviewer=_stage("reviewer", "reviewer"),
    checks=(CheckSettings(name="tests", run="pytest", timeout=60),),
)


def started(**more: Any) -> RunStarted:
    """Return the event a run begins with."""
    values: dict[str, Any] = {"ticket": "", "repository": "/srv/club", "config": "", "config_hash": ""}
    return RunStarted(ticket_id=TICKET.id, base=BASE, **{**values, **more})


def began(stage: StageName, number: int, model: str, *, rung: int = 1, item: str | None = None) -> AttemptStarted:
    """Return the start of an attempt."""
    cause: Cause = "first" if number == 1 else "retry"
    return AttemptStarted(
        stage=stage, item=item, number=number, rung=rung, vendor="scripted", model=model, timeout=60, cause=cause
    )


def ended(start: AttemptStarted, outcome: Outcome, **more: Any) -> AttemptEnded:
    """Return the end of an attempt, 7.5 seconds after its start."""
    same = start.model_dump(include={"stage", "item", "number", "rung", "vendor", "model", "effort", "cause"})
    return AttemptEnded(outcome=outcome, seconds=7.5, **same, **more)


def check(phase: str, *, green: bool, **more: Any) -> CheckFinished:
    """Return a check of five tests."""
    return CheckFinished.model_validate(
        {
            "phase": phase,
            "name": "tests",
            "outcome": "passed" if green else "failed",
            "green": green,
            "passed": 5,
            **more,
        }
    )


PLAN = began("planner", 1, "planner")
FIRST = began("coder", 1, "small", item="once")
SECOND = began("coder", 2, "strong", rung=2, item="once")
JUDGED = began("reviewer", 1, "reviewer")
APPROVED = Review(verdict="approve", findings=(Finding(severity="info", path="fees.py", line=3, message="a | b"),))
TO_FIRST_ATTEMPT: tuple[AnyEvent, ...] = (
    started(warnings=("the cap is small",)),
    check("baseline", green=True),
    StageStarted(stage="planner"),
    PLAN,
    ended(PLAN, "passed", items=("once",), manifest=MANIFEST),
    FIRST,
    GateRefused(
        stage="coder", item="once", attempt=1, tool="write_file", code="scope", message="setup.py is not in it"
    ),
    check("focus", green=False, item="once", attempt=1, passed=4, failed=1, red=RED.tests),
    ended(FIRST, "red", failure=RED),
)
SOLVED: tuple[AnyEvent, ...] = (
    *TO_FIRST_ATTEMPT,
    SECOND,
    check("final", green=True, item="once", attempt=2),
    ended(SECOND, "passed"),
    ItemAccepted(item="once", change="0" * 64),
    JUDGED,
    ended(JUDGED, "passed", verdict="approve", review=APPROVED),
    RunEnded(status="solved", reason="approved", branch="stagewright/late-fees", commit="f" * 40),
)


def stopped(**more: Any) -> RunEnded:
    """Return an ending at the token cap."""
    values: dict[str, Any] = {"status": "budget_stop", "reason": "a call of 9,000 tokens does not fit"}
    values |= {"stage": "coder", "item": "once", "bound": "tokens", "config_key": "limits.tokens"}
    return RunEnded(**{**values, **more})


def stored(events: Sequence[AnyEvent], *, step: float = 2.0) -> list[Stored]:
    """Return events as they are read back, `step` seconds apart."""
    return [Stored(RUN, k + 1, BEGAN + timedelta(seconds=k * step), event) for k, event in enumerate(events)]


def call(start: AttemptStarted, turn: int, *, counted: int = 1000, cost: str | None = "0.02", **more: Any) -> CallRow:
    """Return a settled call of an attempt: `counted` tokens, a tenth of them output, and 500 read from a cache."""
    usage = {"input": counted - counted // 10 + 500, "cache_read": 500, "output": counted // 10}
    values: dict[str, Any] = {"settled": counted, "state": "settled", "usage": usage, "cost": cost}
    return CallRow(
        key=f"{start.stage}-{start.item}-{start.number}-{turn}",
        stage=start.stage,
        item=start.item,
        attempt=start.number,
        turn=turn,
        try_number=1,
        vendor=start.vendor,
        model=start.model,
        reserved=20_000,
        **{**values, **more},
    )


CALLS = (call(PLAN, 0), call(FIRST, 0), call(FIRST, 1), call(SECOND, 0, counted=3000, cost="0.1"), call(JUDGED, 0))


def archived(events: Sequence[AnyEvent], calls: Sequence[CallRow] = (), **more: Any) -> ArchivedRun:
    """Return a recorded run as the database gives it back."""
    values: dict[str, Any] = {"receipt": None, "patch": None, **more}
    return ArchivedRun(account=account(stored(events), calls), settings=SETTINGS, ticket=TICKET, **values)
