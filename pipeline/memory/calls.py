"""The rows of table `call`: one per paid try, from its reservation to what it came to."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from pipeline.memory.budget import Unit
from pipeline.memory.database import CALL, Store
from pipeline.memory.transcript import encode
from stages.artifacts import StageName

CallState = Literal["held", "settled", "released", "expired"]
COUNTS = ("input", "cache_read", "cache_write", "output", "reasoning")


@dataclass(frozen=True, slots=True)
class Seat:
    """Who calls: an attempt of a stage on one model. The ceiling is the model's own output limit in tokens."""

    stage: StageName
    item: str | None
    attempt: int
    vendor: str
    model: str
    max_output_tokens_ceiling: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call whose worst case is held. `micro_usd` is None where no price is known.

    `counted` says that the vendor's own count bounds its input, not its bytes.
    """

    key: str
    seat: Seat
    turn: int
    try_number: int
    scopes: tuple[str, ...]
    tokens: int
    micro_usd: int | None
    input_bound: int
    max_output_tokens: int
    started: datetime
    shrunk_by: str | None = None
    counted: bool = False

    @property
    def amounts(self) -> dict[Unit, int]:
        """What is held in a scope of each unit."""
        return {"tokens": self.tokens, "micro_usd": self.micro_usd or 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One try. Tokens; `cost` is USD as a decimal string, None where no price is known; seconds on the wire.

    `settled` is None while the call is open and 0 when the vendor refused it. `usage` is empty until settled.
    """

    key: str
    stage: StageName
    item: str | None
    attempt: int
    turn: int
    try_number: int
    vendor: str
    model: str
    reserved: int
    settled: int | None
    state: CallState
    usage: dict[str, Any] = field(default_factory=dict)
    price: dict[str, str] | None = None
    cost: str | None = None
    overrun: bool = False
    error: str | None = None
    seconds: float | None = None
    started: datetime | None = None
    request: str = ""
    reply: str | None = None


def call_rows(store: Store, run_id: str) -> list[CallRow]:
    """Return a run's calls in the order they began."""
    wanted = select(CALL).where(CALL.c.run == run_id)
    order = (CALL.c.started, CALL.c.stage, CALL.c.attempt, CALL.c.turn, CALL.c["try"])
    with store.read() as connection:
        return [_row(row) for row in connection.execute(wanted.order_by(*order))]


def next_try(connection: Connection, run_id: str, seat: Seat, turn: int) -> int:
    """Return the number of a turn's next try, from 1: no row is ever written over."""
    same = (
        CALL.c.run == run_id,
        CALL.c.stage == seat.stage,
        CALL.c.item.is_not_distinct_from(seat.item),
        CALL.c.attempt == seat.attempt,
        CALL.c.turn == turn,
    )
    return int(connection.execute(select(func.coalesce(func.max(CALL.c["try"]), 0)).where(*same)).scalar_one()) + 1


def call_key(run_id: str, seat: Seat, turn: int, try_number: int, request: str) -> str:
    """Return the SHA-256 over everything that makes a call this call; `request` is its digest."""
    place = [run_id, seat.stage, seat.item, seat.attempt, turn, try_number, request]
    return hashlib.sha256(encode(place)).hexdigest()


def insert_held(connection: Connection, run_id: str, reservation: Reservation, others: Mapping[str, Any]) -> None:
    """Add the row of a call that may start; `others` are request, price and lease."""
    seat = reservation.seat
    values = {
        "key": reservation.key,
        "run": run_id,
        "stage": seat.stage,
        "item": seat.item,
        "attempt": seat.attempt,
        "turn": reservation.turn,
        "try": reservation.try_number,
        "vendor": seat.vendor,
        "model": seat.model,
        "input_bound": reservation.input_bound,
        "max_output_tokens": reservation.max_output_tokens,
        "scopes": list(reservation.scopes),
        "reserved": reservation.tokens,
        "reserved_micro_usd": reservation.micro_usd,
        "state": "held",
        "started": reservation.started,
    }
    connection.execute(insert(CALL).values(values | dict(others)))


def finish(connection: Connection, key: str, state: CallState, values: Mapping[str, Any]) -> None:
    """Write what became of a call."""
    connection.execute(update(CALL).where(CALL.c.key == key).values(state=state, **values))


def held_calls(connection: Connection, run_id: str, *conditions: ColumnElement[bool]) -> Sequence[Reservation]:
    """Return the reservations of a run that are still open."""
    wanted = select(CALL).where(CALL.c.run == run_id, CALL.c.state == "held", *conditions)
    return [_reservation(row) for row in connection.execute(wanted.order_by(CALL.c.started, CALL.c.key))]


def call_state(connection: Connection, key: str) -> CallState:
    """Return how a call stands, locked against other writers until the transaction ends."""
    state: CallState = connection.execute(select(CALL.c.state).where(CALL.c.key == key).with_for_update()).scalar_one()
    return state


def longest_lease(connection: Connection, run_id: str) -> datetime | None:
    """Return by when every open call of a run is over, None when none is open."""
    wanted = select(CALL.c.lease).where(CALL.c.run == run_id, CALL.c.state == "held")
    return max(connection.execute(wanted).scalars(), default=None)


def sums(calls: Sequence[CallRow]) -> dict[str, Any]:
    """Add up calls: usage by bucket, `counted` as the breaker charged it, cost (None unless every price is known)."""
    charged = [call for call in calls if call.settled]
    usage = {name: sum(int(call.usage.get(name, 0)) for call in charged) for name in COUNTS}
    usage["counted"] = sum(call.settled or 0 for call in charged)
    priced = all(call.cost is not None for call in charged)
    cost = f"{sum((Decimal(call.cost or 0) for call in charged), Decimal(0)):f}" if priced else None
    return {"calls": len(calls), "usage": usage, "cost": cost}


def _reservation(row: Row[Any]) -> Reservation:
    return Reservation(
        key=row.key,
        seat=Seat(row.stage, row.item, row.attempt, row.vendor, row.model, row.max_output_tokens),
        turn=row.turn,
        try_number=row._mapping["try"],  # noqa: SLF001 - the documented way to a column named like a keyword
        scopes=tuple(row.scopes),
        tokens=row.reserved,
        micro_usd=row.reserved_micro_usd,
        input_bound=row.input_bound,
        max_output_tokens=row.max_output_tokens,
        started=row.started,
    )


def _row(row: Row[Any]) -> CallRow:
    return CallRow(
        key=row.key,
        stage=row.stage,
        item=row.item,
        attempt=row.attempt,
        turn=row.turn,
        try_number=row._mapping["try"],  # noqa: SLF001 - the documented way to a column named like a keyword
        vendor=row.vendor,
        model=row.model,
        reserved=row.reserved,
        settled=row.settled,
        state=row.state,
        usage=row.usage or {},
        price=row.price,
        cost=row.cost,
        overrun=row.overrun,
        error=row.error,
        seconds=(row.ended - row.started).total_seconds() if row.ended else None,
        started=row.started,
        request=row.request,
        reply=row.reply,
    )
