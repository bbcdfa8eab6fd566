"""Where a stage stands: attempts left, rung, stopping rule and routes on offer, as pure rules over the state."""

from collections.abc import Sequence
from typing import Literal

from pipeline.config.settings import CheckSettings, Rung, Settings, StageSettings
from pipeline.events import AttemptEnded, Cause
from pipeline.items import ordered
from pipeline.running.conditions import conditions
from pipeline.state import RunState, is_review
from stages.artifacts import Owner, StageName

IDENTICAL_FAILURES = 3
LAST_RUNG_CAUSES: frozenset[Cause] = frozenset({"route", "answer"})


def settings_of(settings: Settings, stage: StageName) -> StageSettings:
    """Return the settings of a stage that is switched on."""
    entry = settings.stage(stage)
    assert entry is not None, f"{stage} is switched off and was asked for"
    return entry


def has_baseline(state: RunState, settings: Settings, check: CheckSettings) -> bool:
    """Tell whether it is known how a check, as it is configured now, does on the untouched base."""
    known = state.baseline.get(check.name)
    return known is not None and known.conditions == conditions(settings, check)


def consumed(attempts: Sequence[AttemptEnded]) -> int:
    """Count the retries that ended attempts consume once another one starts."""
    return sum(attempt.outcome != "stopped" for attempt in attempts)


def has_one_attempt(state: RunState, stage: StageName, item: str | None) -> bool:
    """Tell whether a seat has a single attempt on the last rung: a review's item, or one a re-plan brought."""
    return stage == "coder" and (is_review(item) or item not in state.first_items)


def left(state: RunState, settings: Settings, stage: StageName, item: str | None) -> int:
    """Return how many attempts a seat has left of its own."""
    if (stage, item) in state.exhausted or settings.stage(stage) is None:
        return 0
    own = 1 if has_one_attempt(state, stage, item) else settings_of(settings, stage).attempts
    return max(0, own - consumed(state.of(stage, item)))


def replanned(state: RunState, item: str) -> bool:
    """Tell whether a re-plan came into force since the item's last attempt."""
    return not is_review(item) and state.plans > state.plans_seen.get(("coder", item), state.plans)


def replan_asker(state: RunState) -> AttemptEnded | None:
    """Return whose attempt a re-plan answers: a Coder's that asked for scope, a Debugger's that routed to the Planner.

    None while no manifest is in force: then the Planner plans, whatever was asked of it.
    """
    if state.manifest is None:
        return None
    return next((attempt for attempt in reversed(state.attempts) if attempt.stage != "planner"), None)


def rung_number(state: RunState, settings: Settings, stage: StageName, item: str | None, cause: Cause) -> int:
    """Return the rung of a seat's next attempt: 1 + retries consumed, or the last where a rule says so."""
    last = len(settings_of(settings, stage).rungs)
    if cause in LAST_RUNG_CAUSES or has_one_attempt(state, stage, item):
        return last
    return min(1 + consumed(state.of(stage, item)), last)


def rung(settings: Settings, stage: StageName, number: int, fallback: int = 0) -> Rung:
    """Return the resolved rung with this number, which starts at 1, or its fallback with that number."""
    found = settings_of(settings, stage).rungs[number - 1]
    return found.fallback[fallback - 1] if fallback else found


def goes_on_elsewhere(state: RunState, settings: Settings, ended: AttemptEnded) -> bool:
    """Tell whether an attempt that an outage cut short has a fallback to start again on.

    A resume may have taken it away, or named there what the attempt has been on already.
    """
    entry = settings.stage(ended.stage)
    if entry is None or ended.continues_on is None or ended.rung > len(entry.rungs):
        return False
    been = {(a.vendor, a.model) for a in state.of(ended.stage, ended.item) if a.number == ended.number}
    left_over = entry.rungs[ended.rung - 1].fallback[ended.continues_on - 1 :]
    return bool(left_over) and (left_over[0].vendor, left_over[0].model) not in been


def is_stuck(state: RunState, settings: Settings, stage: StageName, item: str | None) -> bool:
    """Tell whether three identical failures in a row end a seat that is on its last rung."""
    recent = [a for a in state.of(stage, item) if a.outcome != "stopped"][-IDENTICAL_FAILURES:]
    if len(recent) < IDENTICAL_FAILURES or recent[-1].rung < len(settings_of(settings, stage).rungs):
        return False
    prints = {attempt.failure.fingerprint if attempt.failure else None for attempt in recent}
    return len(prints) == 1 and None not in prints


def pending_items(state: RunState) -> tuple[str, ...]:
    """Return the items still to do: the manifest's in dependency order, then the newest open review's."""
    assert state.manifest is not None
    planned = tuple(item for item in ordered(state.manifest) if item not in state.accepted)
    return (*planned, *open_review(state))


def open_review(state: RunState) -> tuple[str, ...]:
    """Return the newest review's item unless it is accepted or a later review approved the tree without it."""
    count = len(state.reviews)
    item = f"review-{count}"
    last = state.last("reviewer", None)
    if count == 0 or item in state.accepted or (last is not None and last.verdict == "approve"):
        return ()
    return (item,)


def judged_by_all_checks(state: RunState, item: str) -> bool:
    """Tell whether an item is judged by all checks: the last of the manifest's, and every review's."""
    return is_review(item) or all(other == item or is_review(other) for other in pending_items(state))


def owners(state: RunState, settings: Settings, stage: StageName, item: str | None) -> tuple[Owner, ...]:
    """Return the Debugger's routes on offer for an exhausted stage."""
    debugger = settings_of(settings, "debugger")
    stages: tuple[Literal["planner", "coder", "reviewer"], ...] = ("planner", "coder", "reviewer")
    able = [n for n in stages if n in debugger.can_route_to and _can_act(state, settings, n, (stage, item))]
    return (*able, "ticket", "environment", *(("flaky",) if _may_be_flaky(state, stage, item) else ()))


def _can_act(state: RunState, settings: Settings, name: StageName, exhausted: tuple[StageName, str | None]) -> bool:
    stage, item = exhausted
    if name == stage:
        return True
    match name:
        case "planner":
            return left(state, settings, "planner", None) > 0
        case "reviewer":
            return settings.reviewer is not None and is_review(item) and left(state, settings, "reviewer", None) > 0
        case _:
            return False


def _may_be_flaky(state: RunState, stage: StageName, item: str | None) -> bool:
    last = state.last(stage, item)
    declared = any(attempt.owner == "flaky" for attempt in state.of("debugger", item))
    return last is not None and last.outcome == "red" and not declared


def debugger_attaches(state: RunState, settings: Settings, stage: StageName, item: str | None) -> bool:
    """Tell whether the Debugger may look at an exhausted stage: it attaches, and there is evidence."""
    if settings.debugger is None or stage in ("debugger", "reviewer") or stage not in settings.debugger.attaches_to:
        return False
    return any(attempt.evidence for attempt in state.of(stage, item))
