"""Decide the next step of a run from its folded state and its config; no clock, no files, no models."""

from dataclasses import replace

from pipeline.config.settings import Settings
from pipeline.errors import Status
from pipeline.events import AttemptEnded, Cause
from pipeline.standing import (
    IDENTICAL_FAILURES,
    consumed,
    debugger_attaches,
    goes_on_elsewhere,
    has_baseline,
    is_stuck,
    left,
    owners,
    pending_items,
    replan_asker,
    replanned,
    rung_number,
    settings_of,
)
from pipeline.state import Answered, Recheck, RunState
from pipeline.steps import AcceptItem, EndRun, ExhaustStage, RunAttempt, RunBaseline, RunRecheck, Step
from stages.artifacts import StageName


def next_step(state: RunState, settings: Settings) -> Step:
    """Return what the run does next."""
    missing = tuple(check.name for check in settings.checks if not has_baseline(state, settings, check))
    if missing:
        return RunBaseline(missing)
    if not any(state.baseline[check.name].binds for check in settings.checks):
        return _nothing_binds(state)
    return _after_cursor(state, settings)


def _after_cursor(state: RunState, settings: Settings) -> Step:  # noqa: C901 - one case per kind of the closed union
    match state.cursor:
        case None:
            return _attempt(state, settings, "planner", None, "first")
        case Answered(ending=ending):
            return _again(state, settings, ending.stage or "planner", ending.item, "answer")
        case Recheck() as recheck:
            return _after_recheck(state, settings, recheck)
        case AttemptEnded(outcome="stopped") as ended:
            return _after_stop(state, settings, ended)
        case AttemptEnded(stage="planner") as ended:
            return _after_planner(state, settings, ended)
        case AttemptEnded(stage="coder") as ended:
            return _after_coder(state, settings, ended)
        case AttemptEnded(stage="debugger") as ended:
            return _after_debugger(state, settings, ended)
        case AttemptEnded() as ended:
            return _after_reviewer(state, settings, ended)


def _attempt(state: RunState, settings: Settings, stage: StageName, item: str | None, cause: Cause) -> RunAttempt:
    number = 1 + state.starts.get((stage, item), 0)
    rung = rung_number(state, settings, stage, item, cause)
    if stage != "debugger":
        return RunAttempt(stage, item, number, rung, cause)
    case = _case(item)
    return RunAttempt(stage, item, number, rung, cause, owners(state, settings, case, item), case)


def _again(state: RunState, settings: Settings, stage: StageName, item: str | None, cause: Cause) -> Step:
    """Make an attempt of a stage that a resume may have switched off; then the run goes on without it."""
    if settings.stage(stage) is not None:
        return _attempt(state, settings, stage, item, cause)
    return _next_item(state, settings) if stage == "reviewer" else _give_up(state, settings, _case(item), item)


def _case(item: str | None) -> StageName:
    """Return the stage a Debugger of this item attaches to."""
    return "planner" if item is None else "coder"


def _nothing_binds(state: RunState) -> EndRun:
    names = "; ".join(f"{check.name}: {check.outcome} ({check.reason})" for check in state.baseline.values())
    return EndRun(
        "infrastructure", f"no check binds on the untouched base: {names}", bound="checks", config_key="checks"
    )


def _after_stop(state: RunState, settings: Settings, ended: AttemptEnded) -> Step:
    if goes_on_elsewhere(state, settings, ended):
        return _restarted(state, settings, ended)
    kind = ended.failure.kind if ended.failure else "interrupted"
    if kind == "clarification" and ended.failure is not None:
        return EndRun("needs_human", ended.failure.message, ended.stage, ended.item, failure=ended.failure)
    if kind == "scope" and left(state, settings, "planner", None) > 0:
        return _attempt(state, settings, "planner", None, "scope")
    return _again(state, settings, ended.stage, ended.item, ended.cause)


def _restarted(state: RunState, settings: Settings, ended: AttemptEnded) -> RunAttempt:
    """Make the same attempt again, on the fallback and with the time it had left."""
    again = _attempt(state, settings, ended.stage, ended.item, ended.cause)
    fallback, seconds = ended.continues_on or 0, ended.seconds_left
    return replace(again, number=ended.number, rung=ended.rung, fallback=fallback, seconds=seconds)


def _after_planner(state: RunState, settings: Settings, ended: AttemptEnded) -> Step:
    if ended.outcome == "passed":
        return _next_item(state, settings)
    asker = replan_asker(state)
    if asker is not None and asker.stage == "debugger":
        return _route_failed(state, settings, asker.item)
    if left(state, settings, "planner", None) > 0 and not is_stuck(state, settings, "planner", None):
        return _attempt(state, settings, "planner", None, "scope" if asker else "retry")
    if asker is not None:
        return _attempt(state, settings, asker.stage, asker.item, asker.cause)
    if ended.cause == "route":
        return _route_failed(state, settings, None)
    return _exhausted(state, settings, "planner", None)


def _route_item(state: RunState) -> str | None:
    """Return the item whose Debugger chose the newest route."""
    return next((a.item for a in reversed(state.attempts) if a.stage == "debugger" and a.outcome == "passed"), None)


def _next_item(state: RunState, settings: Settings) -> Step:
    pending = pending_items(state)
    if not pending:
        if settings.reviewer is None:
            return EndRun("solved", "every item is green and no reviewer is configured")
        return _attempt(state, settings, "reviewer", None, "first" if not state.reviews else "review")
    item = pending[0]
    cause: Cause = "replan" if replanned(state, item) else "retry" if state.of("coder", item) else "first"
    return _attempt(state, settings, "coder", item, cause)


def _after_coder(state: RunState, settings: Settings, ended: AttemptEnded) -> Step:
    item = ended.item
    assert item is not None
    if ended.outcome == "passed":
        return _next_item(state, settings) if item in state.accepted else AcceptItem(item)
    if left(state, settings, "coder", item) > 0 and not is_stuck(state, settings, "coder", item):
        return _attempt(state, settings, "coder", item, "retry")
    if ended.cause == "route":
        return _route_failed(state, settings, item)
    return _exhausted(state, settings, "coder", item)


def _exhausted(state: RunState, settings: Settings, stage: StageName, item: str | None) -> Step:
    if (stage, item) not in state.exhausted:
        stuck = is_stuck(state, settings, stage, item)
        return ExhaustStage(stage, item, "three identical failures in a row" if stuck else "attempts used up")
    if debugger_attaches(state, settings, stage, item) and left(state, settings, "debugger", item) > 0:
        return _attempt(state, settings, "debugger", item, "retry" if state.of("debugger", item) else "first")
    return _give_up(state, settings, stage, item)


def _route_failed(state: RunState, settings: Settings, item: str | None) -> Step:
    if left(state, settings, "debugger", item) > 0:
        return _attempt(state, settings, "debugger", item, "retry")
    return _give_up(state, settings, _case(item), item)


def _give_up(state: RunState, settings: Settings, stage: StageName, item: str | None) -> EndRun:
    last = state.last(stage, item)
    entry = settings_of(settings, stage)
    status: Status = "needs_human" if entry.on_exhaust == "surface_to_human" else "unsolved"
    about = f" for item {item}" if item else ""
    failure = last.failure if last else None
    evidence = f": {failure.message}" if failure else ""
    if is_stuck(state, settings, stage, item):
        reason = f"{stage}{about} failed {IDENTICAL_FAILURES} times in a row in the same way{evidence}"
        return EndRun(status, reason, stage, item, "identical_failures", f"stages.{stage}.escalation", failure)
    reason = f"{stage}{about} used its {consumed(state.of(stage, item))} attempts{evidence}"
    return EndRun(status, reason, stage, item, "retry_budget", f"stages.{stage}.retry_budget", failure)


def _after_debugger(state: RunState, settings: Settings, ended: AttemptEnded) -> Step:
    item, case = ended.item, _case(ended.item)
    if ended.outcome != "passed":
        if left(state, settings, "debugger", item) > 0 and not is_stuck(state, settings, "debugger", item):
            return _attempt(state, settings, "debugger", item, "retry")
        return _give_up(state, settings, case, item)
    brief = ended.diagnosis.brief if ended.diagnosis else ""
    match ended.owner:
        case "ticket":
            return EndRun("needs_human", f"the Debugger says the ticket must change: {brief}", case, item)
        case "environment":
            return _environment(state, settings, item, brief)
        case "flaky" if item is not None:
            return RunRecheck(item, tuple(check.name for check in settings.checks))
        case "planner" | "reviewer" as owner:
            return _attempt(state, settings, owner, None, "route")
        case _:
            return _attempt(state, settings, case, item, "route")


def _environment(state: RunState, settings: Settings, item: str | None, brief: str) -> Step:
    if not state.resumed:
        reason = f"the Debugger says the environment must be repaired: {brief}"
        return EndRun("infrastructure", reason, _case(item), item, "environment", "sandbox")
    last = state.last("coder", item)
    if item is not None and last is not None and last.reusable:
        return RunRecheck(item, tuple(check.name for check in settings.checks))
    return _attempt(state, settings, _case(item), item, "route")


def _after_recheck(state: RunState, settings: Settings, recheck: Recheck) -> Step:
    missing = tuple(check.name for check in settings.checks if check.name not in recheck.results)
    if missing:
        return RunRecheck(recheck.item, missing)
    if recheck.item in state.accepted:
        return _next_item(state, settings)
    if all(result.green or not result.binds for result in recheck.results.values()):
        return AcceptItem(recheck.item)
    return _route_failed(state, settings, recheck.item)


def _after_reviewer(state: RunState, settings: Settings, ended: AttemptEnded) -> Step:
    if ended.verdict == "approve":
        return EndRun("solved", "every item is green and the review approves")
    remaining = left(state, settings, "reviewer", None)
    if settings.reviewer is None or (ended.verdict == "request_changes" and remaining > 0):
        return _next_item(state, settings)
    if ended.verdict == "request_changes":
        return _reviewer_exhausted(state, settings)
    if ended.cause == "route":
        return _route_failed(state, settings, _route_item(state))
    if remaining > 0 and not is_stuck(state, settings, "reviewer", None):
        return _attempt(state, settings, "reviewer", None, "retry")
    return _reviewer_exhausted(state, settings)


def _reviewer_exhausted(state: RunState, settings: Settings) -> Step:
    if ("reviewer", None) not in state.exhausted:
        return ExhaustStage("reviewer", None, "attempts used up")
    return _give_up(state, settings, "reviewer", None)
