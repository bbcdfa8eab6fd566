"""Make one attempt of a stage: its sandbox, its clock, its model, its gates, and one truthful record."""

from dataclasses import replace
from functools import partial

import anyio

from pipeline.config.binding import binding_of
from pipeline.config.settings import Rung
from pipeline.errors import BudgetOpenError, InfrastructureError, ParkedError
from pipeline.judging.acceptance import judge_change, judge_manifest
from pipeline.loader import stage as load_stage
from pipeline.loader import surface
from pipeline.metering.metered_model import FallbackDueError, MeteredModel, Seat, UnusableReplyError, VendorStopError
from pipeline.metering.prices import pricing
from pipeline.metering.veil import VeiledModel
from pipeline.running.attempt_record import Draft, announce, record
from pipeline.running.context import Tools, stage_context
from pipeline.running.kept_tree import keep_tree, kept_file
from pipeline.running.observer import JournalObserver
from pipeline.running.patches import within
from pipeline.running.run import Run
from pipeline.running.starting_tree import starting_tree
from pipeline.running.vendor_lane import has_fallback, lane_of, require_open
from pipeline.running.work_items import item_of
from pipeline.running.workspace import SandboxLostTwiceError, Workspace, open_workspace
from pipeline.standing import rung as rung_settings
from pipeline.steps import RunAttempt
from pipeline.surface import Binding
from sandbox.base import SandboxError, SandboxLostError, Snapshot, UnacceptableChangeError
from stages.artifacts import Failure, Manifest
from stages.contract import StageResult
from stages.model import Model

LAST_LOOK_SECONDS = 30.0


class ScopeDeadline:
    """The clock of an attempt, which waiting for the breaker extends."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope

    def remaining(self) -> float:
        """Return the seconds left."""
        return max(0.0, self._scope.deadline - anyio.current_time())

    def extend(self, seconds: float) -> None:
        """Give back time that was spent waiting for the breaker."""
        self._scope.deadline += seconds


async def make_attempt(run: Run, step: RunAttempt) -> None:
    """Make the attempt and record how it ended, whatever ended it."""
    rung = rung_settings(run.settings, step.stage, step.rung, step.fallback)
    if step.seconds is not None:
        rung = rung.model_copy(update={"timeout": step.seconds})
    require_open(run, step, rung)
    announce(run, step, rung)
    begun = run.seams.clock()
    draft = Draft()
    try:
        await _work(run, step, rung, draft)
    except FallbackDueError as error:
        draft.stop(error.failure)
        draft.continues_on, draft.seconds_left = step.fallback + 1, error.seconds
    except BaseException as error:
        draft.stop(_cut_short(error))
        raise
    finally:
        record(run, step, rung, draft, run.seams.clock() - begun)


def _cut_short(error: BaseException) -> Failure:
    """Return what ended an attempt by nobody's failure, as the reason of its record."""
    match error:
        case BudgetOpenError():
            return Failure(kind="budget", code=error.scope, message=str(error))
        case VendorStopError():
            return error.failure
        case ParkedError():
            return Failure(kind="vendor", code="parked", message=str(error))
        case InfrastructureError():
            return Failure(kind="interrupted", code="infrastructure", message=str(error))
        case SandboxError():
            return Failure(kind="sandbox", message=str(error))
        case _:
            return Failure(kind="interrupted", message="the attempt was interrupted; nobody's failure")


async def _work(run: Run, step: RunAttempt, rung: Rung, draft: Draft) -> None:
    start = starting_tree(run, step)
    async with open_workspace(run, f"{step.stage} {step.item or ''}".strip(), start) as workspace:
        observer = JournalObserver(run.journal, step.stage, step.item, step.number, workspace.checkpoint)
        try:
            draft.settle(await _stage_result(run, step, rung, (workspace, observer, start)))
        finally:
            draft.evidence = observer.ran_command
            if step.stage == "coder":
                await _take_tree(run, step, draft, (workspace, start))
    if draft.outcome != "passed":
        return
    if isinstance(draft.artifact, Manifest):
        draft.settle(judge_manifest(run, draft.artifact))
    elif step.stage == "coder" and draft.tree is not None:
        verdict = await judge_change(run, step, draft.tree)
        draft.settle(verdict)
        draft.reusable = verdict.outcome == "red"
    draft.evidence = draft.evidence or draft.outcome in ("rejected", "red")


async def _stage_result(
    run: Run, step: RunAttempt, rung: Rung, place: tuple[Workspace, JournalObserver, Snapshot]
) -> StageResult:
    workspace, observer, start = place
    with anyio.move_on_after(rung.timeout) as scope:
        deadline = ScopeDeadline(scope)
        ceiling = _ceiling(run, rung)
        tools = Tools(_model(run, step, rung, deadline), workspace, observer, deadline.remaining, ceiling)
        context = stage_context(run, step, start, tools)
        try:
            return await load_stage(step.stage).run(context)
        except UnusableReplyError as error:
            return StageResult("unusable", failure=error.failure)
        except UnacceptableChangeError as error:
            return StageResult("rejected", failure=_unacceptable(error))
        except (SandboxLostTwiceError, SandboxLostError) as error:
            message = f"the sandbox was lost twice at the same call: {error}"
            return StageResult("unusable", failure=Failure(kind="sandbox", code="lost_twice", message=message))
        except TimeoutError:
            scope.cancel()  # the metered model saw the deadline pass a moment before the scope did
    limit = f"stages.{step.stage}.timeout"
    message = f"no artifact within {rung.timeout:g} s ({limit}, rung {step.rung})"
    return StageResult("timed_out", failure=Failure(kind="timeout", code=limit, message=message))


def _unacceptable(error: UnacceptableChangeError) -> Failure:
    return Failure(kind="gate", code=error.code, message=str(error), location=error.path)


def _ceiling(run: Run, rung: Rung) -> int:
    vendor = surface(run.settings.surface_of(rung.vendor))
    row = vendor.capabilities(rung.like or rung.model) or vendor.vendor_row
    return max(rung.max_output_tokens, row.max_output_tokens)


def _model(run: Run, step: RunAttempt, rung: Rung, deadline: ScopeDeadline) -> Model:
    hear = run.seams.hear
    binding = replace(
        binding_of(run.settings, rung, api_key=run.keys.get(rung.vendor), cache_key=f"{run.run_id}:{step.stage}"),
        stall_key=f"stages.{step.stage}.stall",
        progress=partial(hear, step.stage) if hear else None,
    )
    return MeteredModel(
        lambda: _veiled(run, rung, binding),
        ledger=run.ledger,
        seat=Seat(step.stage, step.item, step.number, rung.vendor, rung.model, _ceiling(run, rung)),
        pricing=pricing(rung.vendor, rung.model, run.settings),
        deadline=deadline,
        clock=run.seams.clock,
        sleep=run.seams.sleep,
        lane=lane_of(run.settings, rung),
        insists=run.state.resumed,
        may_fall_back=has_fallback(run, step),
    )


async def _veiled(run: Run, rung: Rung, binding: Binding) -> Model:
    """Return the vendor's model behind a veil: no key of this run is ever part of what it is sent."""
    return VeiledModel(await run.seams.connect(run.settings.surface_of(rung.vendor), binding), tuple(run.keys.values()))


async def _take_tree(run: Run, step: RunAttempt, draft: Draft, place: tuple[Workspace, Snapshot]) -> None:
    """Keep the Coder's last tree, whatever ended the attempt; nothing outside its item's scope is kept."""
    workspace, start = place
    tree = workspace.known
    with anyio.move_on_after(LAST_LOOK_SECONDS, shield=True):
        try:
            tree = await workspace.snapshot()
        except UnacceptableChangeError as error:
            if draft.outcome == "passed":
                draft.settle(StageResult("rejected", failure=_unacceptable(error)))
        except (SandboxError, SandboxLostTwiceError, InfrastructureError):
            pass  # the last known tree is what there is; the loss itself is journaled
    if run.keep_sandbox:
        draft.kept = await _kept_tree(run, step, workspace)
    item = item_of(run, step.item)
    scope = [change.path for change in item.files] if item else []
    draft.tree = tree if draft.outcome == "passed" else within(start, tree, scope)


async def _kept_tree(run: Run, step: RunAttempt, workspace: Workspace) -> str:
    """Keep everything the Coder's container has in its work tree, for a person to look at later."""
    target = kept_file(run.state_dir, run.run_id, step.item, step.number)
    with anyio.move_on_after(LAST_LOOK_SECONDS, shield=True):
        try:
            return await keep_tree(workspace, target)
        except (SandboxError, SandboxLostTwiceError, InfrastructureError) as error:
            return f"not kept: {error}"
    return f"not kept: it took longer than {LAST_LOOK_SECONDS:g} s"
