"""The report of a run: what it did and spent, why it stopped, and how to go on."""

from collections.abc import Callable
from typing import Any

from pipeline.events import (
    BreakerOpened,
    BreakerWarned,
    CheckFinished,
    GateRefused,
    GateRejected,
    HumanAsked,
    RouteChosen,
    RunEnded,
)
from pipeline.reporting.account import Account
from pipeline.reporting.archive import ArchivedRun
from pipeline.reporting.sections import (
    Lines,
    breaker,
    checks,
    fenced,
    findings,
    flagged,
    gates,
    models,
    receipt,
    routes,
    stages,
    warnings,
)
from pipeline.reporting.wording import duration, money, one_line, printable
from stages.artifacts import Failure

SHORT = 12  # characters of a commit id that are shown


def markdown(run: ArchivedRun, *, resume: str | None) -> str:
    """Return the report as Markdown. `resume` is the command that continues the run, None for a solved one."""
    sections: tuple[Callable[[ArchivedRun], Lines], ...] = (
        _stopped,
        flagged,
        stages,
        checks,
        gates,
        routes,
        findings,
        models,
        breaker,
        receipt,
        warnings,
    )
    lines = [*_head(run), *_go_on(run, resume)]
    for section in sections:
        lines += section(run)
    return printable("\n".join(lines) + "\n")


def extended(document: dict[str, Any], run: ArchivedRun) -> dict[str, Any]:
    """Return the JSON report: the document of `run --json` and what else happened, each event with its fields."""
    told, ended = run.account, run.account.ended
    kinds = {
        "checks": (CheckFinished,),
        "gates": (GateRefused, GateRejected),
        "routes": (RouteChosen,),
        "breaker": (BreakerWarned, BreakerOpened),
        "questions": (HumanAsked,),
    }
    happened = {
        name: [stored.fields() for stored in told.events if isinstance(stored.event, wanted)]
        for name, wanted in kinds.items()
    }
    return {
        **document,
        "ticket": run.ticket.model_dump(mode="json"),
        "ended": ended.model_dump(mode="json") if ended else None,
        "manifest": told.state.manifest.model_dump(mode="json") if told.state.manifest else None,
        "reviews": [e.ended.review.model_dump(mode="json") for e in told.attempts if e.ended and e.ended.review],
        "warnings": list(told.warnings),
        "flags": [flag.model_dump(mode="json") for flag in ended.flags] if ended else [],
        **happened,
    }


def _head(run: ArchivedRun) -> Lines:
    told, ended = run.account, run.account.ended
    status = ended.status.replace("_", " ") if ended else "not ended"
    spent = f"{told.spending.counted:,} of {run.settings.limits.tokens:,} tokens"
    place = f"Run `{told.run_id}` of ticket `{run.ticket.id}` on commit `{told.started.base[:SHORT]}`:"
    amounts = f"{duration(told.seconds)}, {spent}, {money(told.spending.cost)}."
    lines = [f"# {run.ticket.title}: {status}", "", place, amounts]
    if ended and ended.branch:
        lines += ["", f"Branch `{ended.branch}`, commit `{(ended.commit or '')[:SHORT]}`. To look at it:", ""]
        lines += [f"    git diff {told.started.base[:SHORT]} {ended.branch}"]
    return lines


def _go_on(run: ArchivedRun, resume: str | None) -> Lines:
    if resume is None:
        return []
    lines = ["", "## How to go on", "", f"    {resume}"]
    if run.patch:
        lines += ["", "What was done so far is kept as a patch:", ""]
        lines += [f"    stagewright patch {run.account.run_id}"]
    return lines


def _stopped(run: ArchivedRun) -> Lines:
    ended = run.account.ended
    if ended is None:
        return ["", "## Why it stopped", "", "It has not ended: it is under way, or its process was killed."]
    if ended.status == "solved":
        return []
    bound = [
        ("stage", ended.stage),
        ("item", ended.item),
        ("bound", ended.bound),
        ("set by", ended.config_key),
        ("at", ended.config_line),
    ]
    facts = [f"* {name}: `{value}`" for name, value in bound if value]
    return ["", "## Why it stopped", "", ended.reason, "", *facts, *_evidence(run.account, ended)]


def _evidence(told: Account, ended: RunEnded) -> Lines:
    failures = [attempt.ended.failure for attempt in told.attempts if attempt.ended and attempt.ended.failure]
    last: Failure | None = ended.failure or next(reversed(failures), None)
    if last is None:
        return []
    lines = [f"* last failure ({last.kind}): {one_line(last.message)}"]
    lines += [f"  * `{test}`" for test in last.tests]
    return [*lines, "", *fenced(last.excerpt)] if last.excerpt else lines
