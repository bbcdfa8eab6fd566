"""Charge a call that is over, one way or another, in the caller's transaction: row, budgets and journal event."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.engine import Connection

from pipeline.errors import BudgetOpenError
from pipeline.events import CallRefused, CallSettled
from pipeline.memory import breaker, calls, scopes
from pipeline.memory.budget import Unit, micro_usd, usd_text
from pipeline.memory.calls import Reservation
from pipeline.memory.journal import Journal
from pipeline.memory.transcript import dump_reply, usage_json
from pipeline.surface import ADAPTED
from stages.model import ModelError, Reply, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call came to: its usage, its exact cost in USD (None without a known price), its reply or its error."""

    usage: Usage
    cost: Decimal | None
    reply: Reply | None = None
    error: str | None = None
    failure: ModelError | None = None

    @property
    def amounts(self) -> dict[Unit, int]:
        """What is charged to a scope of each unit."""
        return {"tokens": self.usage.counted, "micro_usd": micro_usd(self.cost or Decimal(0))}


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was charged. `overrun`: more was reported than reserved. `cut`: why the breaker opened on this reply."""

    tokens: int
    overrun: bool = False
    cut: BudgetOpenError | None = None


def charge(connection: Connection, journal: Journal, reservation: Reservation, outcome: Outcome) -> Settlement:
    """Settle a call as reported and keep its reply.

    One whose lease ran out was counted as spent already: its reply is kept, and it is charged no less than that.
    """
    state = calls.call_state(connection, reservation.key)
    assert state in {"held", "expired"}, "a call is charged once"
    late = state == "expired"
    reserved, spent = reservation.amounts, outcome.amounts
    overrun = any(spent[unit] > reserved[unit] for unit in spent)
    if late:
        spent = {unit: max(reserved[unit], spent[unit]) for unit in spent}
        more = {unit: spent[unit] - reserved[unit] for unit in spent}
        scopes.settle(connection, reservation.scopes, held={}, spent=more)
    else:
        scopes.settle(connection, reservation.scopes, held=reserved, spent=spent)
        journal.append(_settled(journal, reservation, outcome, overrun=overrun), connection)
    reply = outcome.reply
    values = {
        "settled": spent["tokens"],
        "settled_micro_usd": spent["micro_usd"],
        "reply": None if reply is None else dump_reply(reply, lambda content: journal.put(content, connection)),
        "usage": usage_json(outcome.usage),
        "cost": _cost(outcome),
        "overrun": overrun,
        "error": outcome.error,
        "ended": journal.now(),
    }
    calls.finish(connection, reservation.key, "settled", values)
    if overrun:
        _open_every_scope(connection, journal, reservation)
    return Settlement(spent["tokens"], overrun, _cut(connection, journal, reservation, reply))


def release(connection: Connection, journal: Journal, reservation: Reservation, error: ModelError) -> None:
    """Give back what was held: nothing was generated. A call whose lease ran out stays spent."""
    if calls.call_state(connection, reservation.key) != "held":
        return
    scopes.settle(connection, reservation.scopes, held=reservation.amounts, spent={})
    values = {"settled": 0, "settled_micro_usd": 0, "error": error.kind, "ended": journal.now()}
    calls.finish(connection, reservation.key, "released", values)
    event = CallRefused(
        key=reservation.key,
        stage=reservation.seat.stage,
        item=reservation.seat.item,
        attempt=reservation.seat.attempt,
        vendor=reservation.seat.vendor,
        model=reservation.seat.model,
        tokens=reservation.tokens,
        error=error.kind,
        message=error.message,
    )
    journal.append(event, connection)


def expire(connection: Connection, journal: Journal, reservations: Iterable[Reservation], reason: str) -> int:
    """Count open reservations as spent in full and return how many there were."""
    count = 0
    for reservation in reservations:
        usage = at_reservation(reservation)
        cost = None if reservation.micro_usd is None else Decimal(usd_text(reservation.micro_usd))
        outcome = Outcome(usage=usage, cost=cost, error=reason)
        scopes.settle(connection, reservation.scopes, held=reservation.amounts, spent=reservation.amounts)
        values = {
            "settled": reservation.tokens,
            "settled_micro_usd": reservation.micro_usd or 0,
            "usage": usage_json(usage),
            "cost": _cost(outcome),
            "error": reason,
            "ended": journal.now(),
        }
        calls.finish(connection, reservation.key, "expired", values)
        journal.append(_settled(journal, reservation, outcome, overrun=False), connection)
        count += 1
    return count


def at_reservation(reservation: Reservation) -> Usage:
    """Return the usage that charges a call at its worst case."""
    return Usage(input=reservation.input_bound, output=reservation.max_output_tokens, source="reserved")


def _settled(journal: Journal, reservation: Reservation, outcome: Outcome, *, overrun: bool) -> CallSettled:
    return CallSettled(
        key=reservation.key,
        stage=reservation.seat.stage,
        item=reservation.seat.item,
        attempt=reservation.seat.attempt,
        turn=reservation.turn,
        vendor=reservation.seat.vendor,
        model=reservation.seat.model,
        tokens=outcome.usage.counted,
        usage=usage_json(outcome.usage),
        cost=_cost(outcome),
        stop=outcome.reply.stop if outcome.reply else None,
        error=outcome.error,
        overrun=overrun,
        seconds=(journal.now() - reservation.started).total_seconds(),
        adapted=tuple(outcome.reply.metadata.get(ADAPTED, ())) if outcome.reply else (),
    )


def _open_every_scope(connection: Connection, journal: Journal, reservation: Reservation) -> None:
    charged = scopes.balances(connection, reservation.scopes)
    breaker.warn(connection, journal, charged)
    for balance in charged:
        breaker.trip(connection, journal, balance, "overrun")


def _cut(
    connection: Connection, journal: Journal, reservation: Reservation, reply: Reply | None
) -> BudgetOpenError | None:
    if reply is None or reply.stop != "truncated" or reservation.shrunk_by is None:
        return None
    (balance,) = scopes.balances(connection, [reservation.shrunk_by])
    breaker.trip(connection, journal, balance, "cut_at_shrunken_limit")
    return breaker.cut(balance, reservation.seat.stage, reservation.max_output_tokens)


def _cost(outcome: Outcome) -> str | None:
    return None if outcome.cost is None else f"{outcome.cost:f}"
