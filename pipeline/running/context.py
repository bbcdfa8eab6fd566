"""Put together what one attempt may see: typed inputs for its stage, never anybody's reasoning."""

from dataclasses import dataclass

from pipeline.events import AttemptEnded, CheckFinished
from pipeline.judging.repository_map import conventions, repository_map
from pipeline.running.evidence import OUTPUT_LIMIT, evidence
from pipeline.running.run import Run
from pipeline.running.system_text import system_text
from pipeline.running.views import SnapshotView, diff_of, diff_text
from pipeline.running.work_items import item_of
from pipeline.standing import left, replan_asker
from pipeline.standing import rung as rung_settings
from pipeline.state import RunState, is_review
from pipeline.steps import RunAttempt
from sandbox.base import Sandbox, Snapshot
from stages.artifacts import Failure
from stages.contract import CheckSummary, Feedback, Observer, Remaining, StageContext
from stages.excerpt import excerpt
from stages.model import Model

MAP_CHARACTERS = 24_000


@dataclass(frozen=True, slots=True)
class Tools:
    """The live objects an attempt works with."""

    model: Model
    sandbox: Sandbox
    observer: Observer
    remaining: Remaining
    output_tokens_ceiling: int


def stage_context(run: Run, step: RunAttempt, start: Snapshot, tools: Tools) -> StageContext:
    """Return the context of an attempt that starts from `start`."""
    state = run.state
    rung = rung_settings(run.settings, step.stage, step.rung, step.fallback)
    item = item_of(run, step.item)
    view = SnapshotView(run, start)
    folder = run.settings.repo.subdir
    sees_map = step.stage == "planner"
    sees_conventions = step.stage in ("planner", "coder", "reviewer")
    return StageContext(
        ticket=run.ticket,
        model=tools.model,
        sandbox=tools.sandbox,
        observer=tools.observer,
        system=system_text(run.settings, step.stage),
        max_output_tokens=rung.max_output_tokens,
        output_tokens_ceiling=tools.output_tokens_ceiling,
        remaining=tools.remaining,
        repository_map=repository_map(view, budget_characters=MAP_CHARACTERS, folder=folder) if sees_map else "",
        conventions=conventions(view, folder=folder) if sees_conventions else "",
        manifest=state.manifest,
        accepted=tuple(state.accepted),
        item=item,
        feedback=_feedback(run, step),
        diff=diff_text(run, Snapshot(), start) if step.stage == "reviewer" else "",
        checks=_check_summaries(run) if step.stage == "reviewer" else (),
        evidence=evidence(run, step) if step.stage == "debugger" else None,
        owners=step.owners,
        may_request_scope=left(state, run.settings, "planner", None) > 0,
        project_folder=folder,
        progress_required=not state.accepted and not is_review(step.item),
    )


def _feedback(run: Run, step: RunAttempt) -> Feedback:
    state = run.state
    last = _last_telling(state, step)
    reviews = [attempt.review for attempt in state.of("reviewer", None) if attempt.review]
    return Feedback(
        failure=_told_failure(state, step, last),
        previous_diff=excerpt(diff_of(run, last), OUTPUT_LIMIT) if step.stage == "coder" and last else "",
        brief=_brief(state, step),
        guidance=state.guidance,
        findings=reviews[-1].findings if step.stage == "reviewer" and reviews else (),
    )


def _last_telling(state: RunState, step: RunAttempt) -> AttemptEnded | None:
    """Return the seat's last attempt that has something to say: not one that nobody's failure cut short."""
    asked = ("scope", "clarification")
    return next(
        (
            attempt
            for attempt in reversed(state.of(step.stage, step.item))
            if attempt.outcome != "stopped" or (attempt.failure and attempt.failure.kind in asked)
        ),
        None,
    )


def _told_failure(state: RunState, step: RunAttempt, last: AttemptEnded | None) -> Failure | None:
    failure = None if last is None or last.outcome == "passed" else last.failure
    if step.stage == "planner":
        return _with_request(failure, replan_asker(state))
    if last is None or failure is None or failure.kind != "scope":
        return failure
    since = state.attempts[state.attempts.index(last) :]
    if any(attempt.stage == "planner" and attempt.outcome == "passed" for attempt in since):
        return None  # the request was granted
    return failure.model_copy(update={"message": f"your request for more scope was refused: {failure.message}"})


def _with_request(failure: Failure | None, asker: AttemptEnded | None) -> Failure | None:
    """Return what the Planner is told: why its last plan was not taken, and what a Coder asked for."""
    asked = asker.failure if asker and asker.failure and asker.failure.kind == "scope" else None
    if failure is None or asked is None:
        return asked or failure
    message = f"{failure.message}\nThe re-plan is about this request for more scope: {asked.message}"
    return failure.model_copy(update={"message": message})


def _brief(state: RunState, step: RunAttempt) -> str:
    """Return the diagnosis that this attempt answers: the newest word of another stage, if it is one for this seat."""
    other = next((attempt for attempt in reversed(state.attempts) if attempt.stage != step.stage), None)
    if other is None or other.diagnosis is None or other.owner != step.stage:
        return ""
    return other.diagnosis.brief if step.stage != "coder" or other.item == step.item else ""


def _check_summaries(run: Run) -> tuple[CheckSummary, ...]:
    """Return the newest results of the tree under review: of the item accepted last, else of the base."""
    item = next(reversed(tuple(run.state.accepted)), None)
    newest: dict[str, CheckFinished] = {}
    for stored in run.journal.events():
        if isinstance(stored.event, CheckFinished) and stored.event.item == item:
            newest[stored.event.name] = stored.event
    return tuple(
        CheckSummary(e.name, e.outcome, e.green, f"{e.passed} passed, {e.failed} failed. {e.reason}".strip())
        for e in newest.values()
    )
