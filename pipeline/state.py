"""What a run has come to: the fold of its journal, and nothing else."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from pipeline.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    CheckFinished,
    HumanAnswered,
    ItemAccepted,
    RunEnded,
    RunResumed,
    RunStarted,
    StageEnded,
)
from stages.artifacts import Manifest, StageName, WorkItem

Seat = tuple[StageName, str | None]
_REVIEW_ITEM = re.compile(r"review-[0-9]+")


@dataclass(frozen=True, slots=True)
class Recheck:
    """Checks run once more for an item, without an attempt; complete once every check is there."""

    item: str
    results: Mapping[str, CheckFinished]


@dataclass(frozen=True, slots=True)
class Answered:
    """A human spoke after the run had ended in `ending`."""

    ending: RunEnded


Cursor = AttemptEnded | Recheck | Answered | None


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything flow decides from.

    `unanswered` is the ending since the last attempt that a human's word can take back. `cursor` is the last thing that
    happened and `resumed` says that a resume came after it, `starts` counts attempts begun per seat, `accepted` maps
    item to accepted tree in order, `done` are the accepted items as they were planned then, `first_items` are the ids
    of the first manifest, `plans` counts manifests in force so far, `plans_seen` what that count was at a seat's last
    attempt, `accepted_at` how many items were accepted when each attempt ended.
    """

    started: RunStarted | None = None
    ended: RunEnded | None = None
    unanswered: RunEnded | None = None
    cursor: Cursor = None
    resumed: bool = False
    baseline: Mapping[str, CheckFinished] = field(default_factory=dict)
    attempts: tuple[AttemptEnded, ...] = ()
    accepted_at: tuple[int, ...] = ()
    open_attempt: AttemptStarted | None = None
    starts: Mapping[Seat, int] = field(default_factory=dict)
    exhausted: frozenset[Seat] = frozenset()
    manifest: Manifest | None = None
    first_items: frozenset[str] = frozenset()
    plans: int = 0
    plans_seen: Mapping[Seat, int] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    done: tuple[WorkItem, ...] = ()
    guidance: tuple[str, ...] = ()
    config: str = ""
    config_lines: str | None = None
    config_hash: str = ""

    def of(self, stage: StageName, item: str | None) -> tuple[AttemptEnded, ...]:
        """Return the ended attempts of one seat, oldest first."""
        return tuple(attempt for attempt in self.attempts if (attempt.stage, attempt.item) == (stage, item))

    def last(self, stage: StageName, item: str | None) -> AttemptEnded | None:
        """Return the newest ended attempt of one seat."""
        return next(reversed(self.of(stage, item)), None)

    def accepted_before(self, attempt: AttemptEnded) -> str | None:
        """Return the digest of the tree that was accepted when an attempt was made; None is the untouched base."""
        index = next(index for index, known in enumerate(self.attempts) if known is attempt)
        count = self.accepted_at[index]
        return tuple(self.accepted.values())[count - 1] if count else None

    @property
    def reviews(self) -> tuple[AttemptEnded, ...]:
        """Return the reviews that asked for changes, oldest first: review k makes item `review-k`."""
        return tuple(a for a in self.attempts if a.stage == "reviewer" and a.verdict == "request_changes")

    @property
    def accepted_change(self) -> str | None:
        """Return the digest of the newest accepted tree."""
        return next(reversed(tuple(self.accepted.values())), None)


def is_review(item: str | None) -> bool:
    """Tell whether an item was made by a review."""
    return item is not None and _REVIEW_ITEM.fullmatch(item) is not None


def fold(events: Iterable[AnyEvent]) -> RunState:
    """Return the state after all events."""
    return reduce(apply, events, RunState())


def apply(state: RunState, event: AnyEvent) -> RunState:
    """Return the state after one more event."""
    match event:
        case RunStarted():
            return replace(
                state,
                started=event,
                config=event.config,
                config_lines=event.config_lines,
                config_hash=event.config_hash,
            )
        case RunResumed() | HumanAnswered() | RunEnded():
            return _life(state, event)
        case CheckFinished():
            return _checked(state, event)
        case AttemptStarted():
            return _attempt_started(state, event)
        case AttemptEnded():
            return _attempt_ended(state, event)
        case StageEnded(outcome="exhausted"):
            return replace(state, exhausted=state.exhausted | {(event.stage, event.item)})
        case ItemAccepted():
            return _item_accepted(state, event)
        case _:  # calls, tools and containers are history, not state
            return state


def _life(state: RunState, event: RunResumed | HumanAnswered | RunEnded) -> RunState:
    match event:
        case RunEnded():
            asks = event.status in ("unsolved", "needs_human")
            return state if state.ended else replace(state, ended=event, unanswered=event if asks else state.unanswered)
        case HumanAnswered():
            cursor = Answered(state.unanswered) if state.unanswered else state.cursor
            return replace(state, guidance=(*state.guidance, event.text), cursor=cursor)
        case RunResumed():
            changed = event.config_hash != state.config_hash
            bound = any(check.binds for check in state.baseline.values())
            return replace(
                state,
                ended=None,
                resumed=True,
                baseline=state.baseline if bound else {},
                config=event.config,
                config_lines=event.config_lines,
                config_hash=event.config_hash,
                exhausted=frozenset() if changed else state.exhausted,
            )


def _checked(state: RunState, event: CheckFinished) -> RunState:
    if event.phase == "baseline":
        return replace(state, baseline={**state.baseline, event.name: event})
    if event.phase == "recheck" and event.item is not None:
        known = state.cursor.results if isinstance(state.cursor, Recheck) else {}
        return replace(state, cursor=Recheck(event.item, {**known, event.name: event}), resumed=False)
    return state


def _item_accepted(state: RunState, event: ItemAccepted) -> RunState:
    planned = state.manifest.work_items if state.manifest else ()
    done = tuple(item for item in planned if item.id == event.item and event.item not in state.accepted)
    return replace(state, accepted={**state.accepted, event.item: event.change}, done=(*state.done, *done))


def _attempt_started(state: RunState, event: AttemptStarted) -> RunState:
    seat: Seat = (event.stage, event.item)
    return replace(
        state,
        open_attempt=event,
        unanswered=None,
        starts={**state.starts, seat: event.number},
        plans_seen={**state.plans_seen, seat: state.plans},
    )


def _attempt_ended(state: RunState, event: AttemptEnded) -> RunState:
    after = replace(
        state,
        cursor=event,
        resumed=False,
        open_attempt=None,
        attempts=(*state.attempts, event),
        accepted_at=(*state.accepted_at, len(state.accepted)),
    )
    if event.stage != "planner" or event.outcome != "passed" or event.manifest is None:
        return after
    first = state.first_items if state.manifest else frozenset(item.id for item in event.manifest.work_items)
    return replace(after, manifest=event.manifest, first_items=first, plans=state.plans + 1)
