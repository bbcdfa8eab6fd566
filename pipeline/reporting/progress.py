"""What a run is doing right now: the fold of its events that the live view shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pipeline.events import AnyEvent, AttemptEnded, AttemptStarted, CallSettled, CheckFinished
from pipeline.reporting.telling import telling
from stages.artifacts import StageName


@dataclass(frozen=True, slots=True)
class StageProgress:
    """A stage's newest attempt and all its spending. Times are seconds of the caller's clock."""

    item: str | None = None
    attempt: int = 0
    rung: int = 0
    model: str = ""
    timeout: float = 0.0
    began: float = 0.0
    took: float | None = None
    outcome: str = ""
    tokens: int = 0
    cost: Decimal | None = Decimal(0)
    action: str = ""

    def elapsed(self, now: float) -> float:
        """Return how long the newest attempt has been or was under way."""
        return now - self.began if self.took is None else self.took


@dataclass(frozen=True, slots=True)
class Progress:
    """All stages that have begun, and the last thing that happened at all."""

    stages: Mapping[StageName, StageProgress] = field(default_factory=dict)
    action: str = ""

    @property
    def tokens(self) -> int:
        """Return what the breaker has charged so far."""
        return sum(stage.tokens for stage in self.stages.values())

    @property
    def cost(self) -> Decimal | None:
        """Return USD so far, None where a price is unknown."""
        costs = [stage.cost for stage in self.stages.values()]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))


def advance(progress: Progress, event: AnyEvent, now: float) -> Progress:
    """Return the progress after one more event that happened at `now`."""
    words = telling(event)
    after = replace(progress, action=words)
    stage: StageName | None = getattr(event, "stage", None)
    if isinstance(event, CheckFinished):
        stage = "coder" if event.phase == "focus" else None
    if stage is None:
        return after
    changed = _changed(progress.stages.get(stage, StageProgress(began=now)), event, now)
    return replace(after, stages={**progress.stages, stage: replace(changed, action=words)})


def _changed(stage: StageProgress, event: AnyEvent, now: float) -> StageProgress:
    match event:
        case AttemptStarted():
            return replace(
                stage,
                item=event.item,
                attempt=event.number,
                rung=event.rung,
                model=f"{event.vendor}/{event.model}",
                timeout=event.timeout,
                began=now,
                took=None,
                outcome="",
            )
        case AttemptEnded():
            return replace(stage, took=now - stage.began, outcome=event.verdict or event.owner or event.outcome)
        case CallSettled():
            return replace(stage, tokens=stage.tokens + event.tokens, cost=_sum(stage.cost, event.cost))
        case _:  # anything else is only the last action
            return stage


def _sum(cost: Decimal | None, more: str | None) -> Decimal | None:
    return None if cost is None or more is None else cost + Decimal(more)
