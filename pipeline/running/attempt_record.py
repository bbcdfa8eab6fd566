"""What is journaled of an attempt: its beginning, and how it ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.config.settings import Rung
from pipeline.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    GateRejected,
    HumanAsked,
    RouteChosen,
    StageEnded,
    StageStarted,
)
from pipeline.running.run import Run
from pipeline.steps import RunAttempt
from sandbox.base import Snapshot
from stages.artifacts import Artifact, Clarification, Diagnosis, Failure, Manifest, Outcome, Review
from stages.contract import StageResult


@dataclass(slots=True)
class Draft:
    """What is known of an attempt until its record is written."""

    outcome: Outcome = "stopped"
    failure: Failure | None = None
    artifact: Artifact | None = None
    tree: Snapshot | None = None
    reusable: bool = False
    evidence: bool = False
    kept: str | None = None
    continues_on: int | None = None
    seconds_left: float | None = None

    def settle(self, result: StageResult) -> None:
        """Take over what the stage or a judge says."""
        self.outcome, self.failure = result.outcome, result.failure
        self.artifact = result.artifact if result.artifact is not None else self.artifact

    def stop(self, failure: Failure) -> None:
        """End by nobody's failure."""
        self.outcome, self.failure, self.artifact = "stopped", failure, None


def announce(run: Run, step: RunAttempt, rung: Rung) -> None:
    """Journal an attempt's beginning, and its stage's with the first."""
    if step.number == 1 and not step.fallback:
        run.journal.append(StageStarted(stage=step.stage, item=step.item))
    run.journal.append(
        AttemptStarted(
            stage=step.stage,
            item=step.item,
            number=step.number,
            rung=step.rung,
            vendor=rung.vendor,
            model=rung.model,
            effort=rung.effort,
            timeout=rung.timeout,
            cause=step.cause,
            fallback=step.fallback,
        )
    )


def record(run: Run, step: RunAttempt, rung: Rung, draft: Draft, seconds: float) -> None:
    """Journal an attempt's end and what it leads to, all at once: a crash leaves all of it or nothing."""
    ended = AttemptEnded(
        stage=step.stage,
        item=step.item,
        number=step.number,
        rung=step.rung,
        vendor=rung.vendor,
        model=rung.model,
        effort=rung.effort,
        cause=step.cause,
        outcome=draft.outcome,
        failure=draft.failure,
        change=run.keep(draft.tree) if draft.tree is not None else None,
        reusable=draft.reusable,
        evidence=draft.evidence,
        seconds=round(seconds, 3),
        kept=draft.kept,
        fallback=step.fallback,
        continues_on=draft.continues_on,
        seconds_left=draft.seconds_left,
        **_artifact_fields(draft.artifact if draft.outcome == "passed" else None),
    )
    with run.journal.store.begin() as connection:
        for event in (*_rejection(ended), ended, *_consequences(ended, draft.artifact)):
            run.journal.append(event, connection)


def _rejection(ended: AttemptEnded) -> Iterator[AnyEvent]:
    failure = ended.failure
    if ended.outcome == "rejected" and failure is not None:
        yield GateRejected(
            stage=ended.stage, item=ended.item, attempt=ended.number, code=failure.code, message=failure.message
        )


def _consequences(ended: AttemptEnded, artifact: Artifact | None) -> Iterator[AnyEvent]:
    if isinstance(artifact, Clarification):
        yield HumanAsked(stage=ended.stage, item=ended.item, question=artifact.question, options=artifact.options)
    if ended.owner is not None:
        yield RouteChosen(stage="planner" if ended.item is None else "coder", item=ended.item, owner=ended.owner)
    elif ended.stage in ("planner", "reviewer") and ended.outcome == "passed":
        yield StageEnded(stage=ended.stage, outcome="passed")


def _artifact_fields(artifact: Artifact | None) -> dict[str, Any]:
    match artifact:
        case Manifest():
            return {"manifest": artifact, "items": tuple(item.id for item in artifact.work_items)}
        case Diagnosis():
            return {"diagnosis": artifact, "owner": artifact.owner}
        case Review():
            return {"review": artifact, "verdict": artifact.verdict}
        case _:
            return {}
