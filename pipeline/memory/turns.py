"""Take a call's turn in its vendor's lane and hand it back, in the caller's transaction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import cast

from sqlalchemy.engine import Connection

from pipeline.memory import lanes, pace
from pipeline.memory.calls import Reservation
from pipeline.memory.pace import Clear, Lane, Named, NotYet, Traffic
from pipeline.memory.settlement import Outcome
from stages.model import ModelError


@dataclass(frozen=True, slots=True)
class Turn:
    """A call's turn, and the traffic it was judged by."""

    clear: Clear
    traffic: Traffic


def turn(
    connection: Connection, lane: Lane | None, now: float, works: Callable[[str], bool], *, insists: bool
) -> Turn | NotYet:
    """Say whether a call may begin now, in UTC seconds; without a lane nothing keeps it back."""
    if lane is None:
        return Turn(Clear(), Traffic())
    traffic = lanes.traffic(connection, lane, datetime.fromtimestamp(now, UTC), works)
    # As exact as it came: a caller that slept until a time must find that it has come.
    answer = pace.turn(lane, traffic, now=now, insists=insists)
    return answer if isinstance(answer, NotYet) else Turn(answer, traffic)


def begin(connection: Connection, reservation: Reservation, taken: Turn, lease: float) -> None:
    """Take the turn of a call that begins now and is over at its lease, in UTC seconds."""
    lane, now = reservation.lane, reservation.started.timestamp()
    if lane is None:
        return
    lanes.begin(connection, lane, taken.traffic, reservation.tokens, now)
    if taken.clear.probes:
        lanes.change_health(connection, lane, partial(pace.probing, key=reservation.key, ends=lease))


def settled(connection: Connection, reservation: Reservation, outcome: Outcome, now: float) -> None:
    """Give back what the call did not use, and remember what it says of the vendor. `now` is UTC seconds."""
    lane = reservation.lane
    if lane is None:
        return
    lanes.give_back(connection, lane, reservation.tokens - outcome.usage.counted)
    if outcome.reply is not None:
        lanes.change_health(connection, lane, pace.answered)
        if lanes.named_time(connection, lane).until > now:
            lanes.name_time(connection, lane, Named())
        return
    _heard(connection, reservation, outcome.failure, now)


def refused(connection: Connection, reservation: Reservation, error: ModelError, now: float) -> None:
    """Give the whole turn back, and remember what the refusal says of the vendor. `now` is UTC seconds."""
    if reservation.lane is not None:
        lanes.give_back(connection, reservation.lane, reservation.tokens)
        _heard(connection, reservation, error, now)


def _heard(connection: Connection, reservation: Reservation, error: ModelError | None, now: float) -> None:
    lane = cast("Lane", reservation.lane)
    if error is None or error.kind == "protocol":
        lanes.change_health(connection, lane, partial(pace.unheard, key=reservation.key))
    elif error.kind in pace.FAILURES:
        lanes.change_health(connection, lane, partial(pace.failed, kind=error.kind, now=now))
    else:
        lanes.change_health(connection, lane, pace.answered)
    if error is not None and error.kind in {"rate_limit", "overloaded"} and 0 < (error.retry_after or 0) < math.inf:
        lanes.name_time(connection, lane, Named(now + (error.retry_after or 0), error.kind))
