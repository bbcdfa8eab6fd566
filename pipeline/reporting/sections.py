"""The sections of a report that list what happened, each empty where there is nothing to list."""

from collections.abc import Iterable, Sequence

from pipeline.events import (
    AnyEvent,
    BreakerOpened,
    BreakerWarned,
    CheckFinished,
    GateRefused,
    GateRejected,
    RouteChosen,
)
from pipeline.metering.quota import quota
from pipeline.reporting.archive import ArchivedRun
from pipeline.reporting.wording import money, one_line
from stages.artifacts import STAGES, Finding

Lines = list[str]


def stages(run: ArchivedRun) -> Lines:
    """Return one row per attempt."""
    columns = ("stage", "item", "attempt", "rung", "model", "outcome", "seconds", "calls", "tokens", "cost")
    rows = []
    for attempt in (entry for stage in STAGES for entry in run.account.of(stage)):
        started, ended, spent = attempt.started, attempt.ended, attempt.spending
        model = f"{started.vendor}/{started.model}" + (f" ({started.effort})" if started.effort else "")
        outcome = ended.outcome.replace("_", " ") if ended else "not ended"
        seconds = f"{ended.seconds:.1f}" if ended else "-"
        place = (started.stage, started.item or "-", started.number, started.rung)
        rows.append((*place, model, outcome, seconds, spent.calls, f"{spent.counted:,}", money(spent.cost)))
    return _section("Stages", [*_table(columns, rows), *_failures(run)])


def _failures(run: ArchivedRun) -> Lines:
    """Return why attempts ended without passing."""
    ended = [entry.ended for entry in run.account.attempts if entry.ended and entry.ended.failure]
    lines = [
        f"* {_where(end.stage, end.number, end.item)}: {one_line(end.failure.message)}" for end in ended if end.failure
    ]
    return ["", *lines] if lines else []


def checks(run: ArchivedRun) -> Lines:
    """Return every check the runner ran, the baseline included, and what is red."""
    columns = ("when", "item", "check", "outcome", "passed", "failed", "verdict", "seconds")
    rows = []
    for check in run.account.each(CheckFinished):
        verdict = "green" if check.green else "red"
        shown = verdict if check.binds else "binds nothing: red at base"
        counts = (check.passed, check.failed)
        outcome = check.outcome.replace("_", " ")
        rows.append((check.phase, check.item or "-", check.name, outcome, *counts, shown, f"{check.seconds:.1f}"))
    red = [f"* red: `{test}`" for check in run.account.each(CheckFinished) for test in check.red]
    return _section("Checks", [*_table(columns, rows), *([""] if red else []), *dict.fromkeys(red)])


def gates(run: ArchivedRun) -> Lines:
    """Return what gates refused or rejected."""
    return _section("Gates", [_gate(e) for e in _happened(run) if isinstance(e, GateRefused | GateRejected)])


def _happened(run: ArchivedRun) -> list[AnyEvent]:
    """Return the run's events in order."""
    return [stored.event for stored in run.account.events]


def _gate(gate: GateRefused | GateRejected) -> str:
    what = f"`{gate.tool}` refused" if isinstance(gate, GateRefused) else "rejected"
    return f"* {_where(gate.stage, gate.attempt, gate.item)}: {what}, {gate.code}: {one_line(gate.message)}"


def _where(stage: str, attempt: int, item: str | None) -> str:
    return f"{stage} attempt {attempt}" + (f" of {item}" if item else "")


def routes(run: ArchivedRun) -> Lines:
    """Return whom the Debugger gave the fix to."""
    routes = run.account.each(RouteChosen)
    return _section(
        "Routes", [f"* {route.stage} {route.item or ''}: the fix belongs to {route.owner}" for route in routes]
    )


def findings(run: ArchivedRun) -> Lines:
    """Return what the Reviewer remarked."""
    reviews = [attempt.ended.review for attempt in run.account.attempts if attempt.ended and attempt.ended.review]
    return _section("Review", [_finding(finding) for review in reviews for finding in review.findings])


def _finding(finding: Finding) -> str:
    line = f":{finding.line}" if finding.line else ""
    place = f" `{finding.path}{line}`" if finding.path else ""
    return f"* {finding.severity}{place}: {one_line(finding.message)}"


def flagged(run: ArchivedRun) -> Lines:
    """Return the changes that decide what runs elsewhere, for a person to look at."""
    ended = run.account.ended
    rows = [(f"`{one_line(flag.path)}`", flag.change, flag.kind, flag.reason) for flag in ended.flags] if ended else []
    return _section("Look at these changes yourself", _table(("path", "change", "kind", "why"), rows))


def models(run: ArchivedRun) -> Lines:
    """Return what each model was asked and what that cost."""
    columns = ("model", "calls", "errors", "input", "cache read", "output", "counted", "cost")
    rows = []
    for entry in run.account.models:
        spent, usage = entry.spending, entry.spending.usage
        tokens = (usage["input"], usage["cache_read"], usage["output"], spent.counted)
        amounts = (f"{number:,}" for number in tokens)
        rows.append((f"{entry.vendor}/{entry.model}", spent.calls, spent.errors, *amounts, money(spent.cost)))
    paid = dict.fromkeys(f"* `{entry.vendor}`: {said}" for entry in run.account.models if (said := quota(entry.vendor)))
    return _section("Models", [*_table(columns, rows), *([""] if paid else []), *paid])


def breaker(run: ArchivedRun) -> Lines:
    """Return when the breaker warned and opened."""
    lines = [f"* 80 % of `{event.scope}` reached" for event in run.account.each(BreakerWarned)]
    lines += [
        f"* `{event.scope}` opened ({event.reason.replace('_', ' ')}): {event.spent:,} spent and {event.held:,} held "
        f"of {event.cap:,}, {event.needed:,} needed"
        for event in run.account.each(BreakerOpened)
    ]
    return _section("Token circuit breaker", lines)


def receipt(run: ArchivedRun) -> Lines:
    """Return whether the user's repository is as it was."""
    if run.receipt is None:
        return []
    if run.receipt.get("unchanged"):
        return _section("Receipt", ["Your checkout, index, refs and git configuration are as they were."])
    changes = [f"* {one_line(str(change))}" for change in run.receipt.get("changes", [])]
    return _section("Receipt", ["Something changed in your repository while the run was under way:", "", *changes])


def warnings(run: ArchivedRun) -> Lines:
    """Return what preflight warned of, and what a server does not take."""
    return _section("Warnings", [f"* {one_line(warning)}" for warning in run.account.warnings])


def _section(title: str, lines: Lines) -> Lines:
    return ["", f"## {title}", "", *lines] if lines else []


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Lines:
    body = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns), *body] if body else []


def fenced(text: str) -> Lines:
    """Fence a text so that nothing inside it can end the fence."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence, *text.splitlines(), fence]
