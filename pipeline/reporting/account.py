"""What a run did and what it cost, worked out from its events and its paid calls for whoever shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

from pipeline.events import AnyEvent, AttemptEnded, AttemptStarted, CallSettled, RunEnded, RunResumed, RunStarted
from pipeline.memory.calls import COUNTS, CallRow
from pipeline.memory.journal import Stored
from pipeline.state import RunState, fold
from stages.artifacts import STAGES, StageName

Event = TypeVar("Event", bound=AnyEvent)
UsageCounts = dict[str, int]
_Key = tuple[str, str | None, int, int]  # stage, item, number, fallback


@dataclass(frozen=True, slots=True)
class Spending:
    """What some calls came to. `counted` is what the breaker charged; `cost` USD, None where a price is unknown."""

    calls: int = 0
    errors: int = 0
    usage: UsageCounts = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    counted: int = 0
    cost: Decimal | None = Decimal(0)

    @property
    def cost_text(self) -> str | None:
        """Return the cost as a decimal string without an exponent."""
        return None if self.cost is None else decimal_text(self.cost)


@dataclass(frozen=True, slots=True)
class AttemptAccount:
    """One attempt as it began, how it ended (None while it is open), and what its calls came to.

    One that went on elsewhere during an outage is several, by the same number.
    """

    started: AttemptStarted
    ended: AttemptEnded | None
    spending: Spending


@dataclass(frozen=True, slots=True)
class ModelAccount:
    """One model over the whole run."""

    vendor: str
    model: str
    spending: Spending


@dataclass(frozen=True, slots=True)
class Account:
    """A whole run. `seconds` is working time: without a process, parked or waiting for a human counts nowhere."""

    run_id: str
    started_at: datetime
    seconds: float
    state: RunState
    attempts: tuple[AttemptAccount, ...]
    models: tuple[ModelAccount, ...]
    spending: Spending
    events: tuple[Stored, ...]

    @property
    def started(self) -> RunStarted:
        """Return the run's first event."""
        assert self.state.started is not None, "a journal begins with run.started"
        return self.state.started

    @property
    def ended(self) -> RunEnded | None:
        """Return the ending in force, None for a run that is under way or was interrupted."""
        return self.state.ended

    def of(self, stage: StageName) -> tuple[AttemptAccount, ...]:
        """Return a stage's attempts in the order they began."""
        return tuple(attempt for attempt in self.attempts if attempt.started.stage == stage)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what preflight warned of, and what was put otherwise for a server; each once."""
        settled = self.each(CallSettled)
        adapted = (f"{call.vendor}/{call.model}: {words}" for call in settled for words in call.adapted)
        return tuple(dict.fromkeys((*self.started.warnings, *adapted)))

    def each(self, kind: type[Event]) -> tuple[Event, ...]:
        """Return every event of one kind."""
        return tuple(stored.event for stored in self.events if isinstance(stored.event, kind))


def account(events: Sequence[Stored], calls: Sequence[CallRow]) -> Account:
    """Return the account of one run; `events` begin with `run.started`."""
    return Account(
        run_id=events[0].run_id,
        started_at=events[0].at,
        seconds=working_seconds(events),
        state=fold(stored.event for stored in events),
        attempts=_attempts(events, calls),
        models=_models(calls),
        spending=spending(calls),
        events=tuple(events),
    )


def spending(calls: Iterable[CallRow]) -> Spending:
    """Add up calls. A call that is still open counts as a call and charges nothing yet."""
    rows = tuple(calls)
    usage = {name: sum(int(row.usage.get(name) or 0) for row in rows) for name in COUNTS}
    charged = tuple(row for row in rows if row.settled)
    known = all(row.cost is not None for row in charged)
    return Spending(
        calls=len(rows),
        errors=sum(row.error is not None for row in rows),
        usage=usage,
        counted=sum(row.settled or 0 for row in rows),
        cost=sum((Decimal(row.cost or 0) for row in charged), Decimal(0)) if known else None,
    )


def working_seconds(events: Sequence[Stored]) -> float:
    """Return the seconds between the first and last event of each stretch that began with a start or a resume."""
    total = 0.0
    begun = events[0].at
    for before, stored in pairwise(events):
        if isinstance(stored.event, RunResumed):
            total += (before.at - begun).total_seconds()
            begun = stored.at
    return total + (events[-1].at - begun).total_seconds()


def decimal_text(amount: Decimal) -> str:
    """Return an exact decimal string without exponent or superfluous zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _attempts(events: Sequence[Stored], calls: Sequence[CallRow]) -> tuple[AttemptAccount, ...]:
    started: dict[_Key, AttemptStarted] = {}
    ended: dict[_Key, AttemptEnded] = {}
    for stored in events:
        match stored.event:
            case AttemptStarted() as event:
                started[_key(event)] = event
            case AttemptEnded() as event:
                ended[_key(event)] = event
            case _:  # the other kinds do not make attempts
                pass
    return tuple(
        AttemptAccount(event, ended.get(key), spending(row for row in calls if _made_in(event, row)))
        for key, event in sorted(started.items(), key=lambda entry: STAGES.index(entry[1].stage))
    )


def _key(event: AttemptStarted | AttemptEnded) -> _Key:
    return event.stage, event.item, event.number, event.fallback


def _made_in(attempt: AttemptStarted, row: CallRow) -> bool:
    """Tell whether an attempt made a call; no two stretches of one attempt are on the same model."""
    made = (row.stage, row.item, row.attempt, row.vendor, row.model)
    return made == (attempt.stage, attempt.item, attempt.number, attempt.vendor, attempt.model)


def _models(calls: Sequence[CallRow]) -> tuple[ModelAccount, ...]:
    pairs = dict.fromkeys((row.vendor, row.model) for row in calls)
    return tuple(
        ModelAccount(vendor, model, spending(row for row in calls if (row.vendor, row.model) == (vendor, model)))
        for vendor, model in pairs
    )
