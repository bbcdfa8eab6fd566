"""Do what flow decides and record it, until the run ends."""

from collections.abc import Sequence
from dataclasses import replace

import anyio

from pipeline.environments.preparing import prepared_environment
from pipeline.errors import BudgetOpenError, InfrastructureError, ParkedError
from pipeline.events import AttemptEnded, HumanAsked, ItemAccepted, RunEnded, StageEnded
from pipeline.flow import next_step
from pipeline.judging.acceptance import recheck
from pipeline.judging.checking import run_baseline
from pipeline.memory.budget import config_key
from pipeline.metering.outage import VendorStopError
from pipeline.metering.parking import MOST_PARKS, parks_in_a_row
from pipeline.running.attempt import make_attempt
from pipeline.running.ending import finish
from pipeline.running.run import Run
from pipeline.running.views import flags_of
from pipeline.state import Answered, Recheck
from pipeline.steps import AcceptItem, EndRun, ExhaustStage, RunAttempt, RunBaseline, RunRecheck, Step
from sandbox.base import SandboxError
from stages.artifacts import StageName


async def drive(run: Run) -> RunEnded:
    """Work until the run ends and return its ending; cancelling records `cancelled` and is passed on."""
    resume_at: float | None = None
    ending: EndRun | None = None
    try:
        with anyio.move_on_after(run.wall_clock):
            ending = await _until_the_end(run)
        ending = ending or _cut_short(run, "timed_out", "the run's wall clock is used up", "wall_clock")
    except BudgetOpenError as error:
        ending = _cut_short(run, "budget_stop", str(error), config_key(error.scope))
    except ParkedError as error:
        ending, resume_at = _parked(run, error)
    except VendorStopError as error:
        ending = _cut_short(run, "infrastructure", str(error), f"stages.{_standing(run)[0]}.vendor")
    except (InfrastructureError, SandboxError) as error:
        ending = _cut_short(run, "infrastructure", str(error), None)
    except Exception as error:  # a defect of ours: the run ends truthfully before the defect is shown
        await _shielded_finish(run, _cut_short(run, "infrastructure", f"internal error: {error!r}", None))
        raise
    except anyio.get_cancelled_exc_class():
        await _shielded_finish(run, _cut_short(run, "cancelled", "interrupted by the user", None))
        raise
    if ending.status == "needs_human" and ending.stage is not None and not _has_asked(run):
        run.journal.append(HumanAsked(stage=ending.stage, item=ending.item, question=ending.reason))
    return await _shielded_finish(run, ending, resume_at)


def _has_asked(run: Run) -> bool:
    """Tell whether the stage itself asked, as the Planner does for a clarification."""
    last = run.state.cursor
    return isinstance(last, AttemptEnded) and last.failure is not None and last.failure.kind == "clarification"


def _parked(run: Run, error: ParkedError) -> tuple[EndRun, float | None]:
    """Return the ending of a vendor's named wait: the third without a paid call between is an outage."""
    waiting = next_step(run.state, run.settings)  # the parked attempt again, or the one that was not begun
    assert isinstance(waiting, RunAttempt), "only an attempt is parked"
    last = run.state.last(waiting.stage, waiting.item)
    failure = last.failure if last is not None and last is run.state.cursor else None
    place = EndRun("parked", str(error), waiting.stage, waiting.item, failure=failure)
    if parks_in_a_row(stored.event for stored in run.journal.events()) >= MOST_PARKS:
        reason = f"parked {MOST_PARKS} times without a call going through: {error}"
        key = f"stages.{waiting.stage}.vendor"
        return replace(place, status="infrastructure", reason=reason, bound="vendor", config_key=key), None
    key = error.config_key or f"stages.{waiting.stage}.timeout"
    return replace(place, bound=key.rpartition(".")[2], config_key=key), error.resume_at


async def _shielded_finish(run: Run, ending: EndRun, resume_at: float | None = None) -> RunEnded:
    """Record the ending even when a second signal arrives meanwhile."""
    event: RunEnded | None = None
    with anyio.CancelScope(shield=True):
        event = await finish(run, ending, resume_at=resume_at)
    assert event is not None
    return event


def _cut_short(run: Run, status: str, reason: str, key: str | None) -> EndRun:
    """Return an ending that no rule of the flow chose, naming where the run stood."""
    stage, item = _standing(run)
    last = run.state.cursor
    failure = last.failure if isinstance(last, AttemptEnded) else None
    bound = key.rpartition(".")[2] if key else None
    config_key = f"limits.{key}" if key == "wall_clock" else key
    ending = EndRun("infrastructure", reason, stage, item, bound, config_key, failure)
    match status:
        case "timed_out" | "budget_stop" | "cancelled" | "infrastructure":
            return replace(ending, status=status)
        case _:
            raise AssertionError(status)


def _standing(run: Run) -> tuple[StageName | None, str | None]:
    match run.state.cursor:
        case AttemptEnded(stage=stage, item=item):
            return stage, item
        case Recheck(item=item):
            return "coder", item
        case Answered(ending=ending):
            return ending.stage, ending.item
        case None:
            return None, None


async def _until_the_end(run: Run) -> EndRun:
    prepared = replace(run, environment=await prepared_environment(run))
    while True:
        step = next_step(prepared.state, prepared.settings)
        if isinstance(step, EndRun):
            return step
        await _take(prepared, step)


async def _take(run: Run, step: Step) -> None:
    match step:
        case RunBaseline(checks=names):
            await run_baseline(run, names)
        case RunAttempt():
            await make_attempt(run, step)
        case RunRecheck():
            await recheck(run, step)
        case AcceptItem(item=item):
            _accept(run, item)
        case ExhaustStage():
            run.journal.append(StageEnded(stage=step.stage, item=step.item, outcome="exhausted", reason=step.reason))
        case EndRun():
            raise AssertionError("the loop ends before an ending is taken")


def _accept(run: Run, item: str) -> None:
    attempts: Sequence[AttemptEnded] = run.state.of("coder", item)
    change = next(a.change for a in reversed(attempts) if a.change and (a.outcome == "passed" or a.reusable))
    assert change is not None
    with run.journal.store.begin() as connection:
        accepted = ItemAccepted(item=item, change=change, flags=flags_of(run, run.recall(change)))
        run.journal.append(accepted, connection)
        run.journal.append(StageEnded(stage="coder", item=item, outcome="passed"), connection)
