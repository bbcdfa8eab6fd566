"""Take a call's turn in its vendor's lane and hand it back, in the caller's transaction."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import cast

from sqlalchemy.engine import Connection

from pipeline.memory import lanes, pace
from pipeline.memory.calls import Reservation
from pipeline.memory.pace import Clear, Lane, Named, NotYet
from pipeline.memory.settlement import Outcome
from stages.model import ModelError


def turn(
    connection: Connection, lane: Lane | None, now: float, works: Callable[[str], bool], *, insists: bool
) -> Clear | NotYet:
    """Say whether a call may begin now, in UTC seconds; without a lane nothing keeps it back."""
    if lane is None:
        return Clear()
    traffic = lanes.traffic(connection, lane, datetime.fromtimestamp(now, UTC), works)
    # As exact as it came: a caller that slept until a time must find that it has come.
    return pace.turn(lane, traffic, now=now, insists=insists)


def begin(connection: Connection, reservation: Reservation, clear: Clear, lease: float) -> None:
    """Take the turn of a call that begins now and is over at its lease, in UTC seconds."""
    lane, now = reservation.lane, reservation.started.timestamp()
    if lane is None:
        return
    lanes.begin(connection, lane, reservation.tokens, now)
    if clear.probes:
        lanes.change_health(connection, lane, partial(pace.probing, key=reservation.key, ends=lease), now)


def settled(connection: Connection, reservation: Reservation, outcome: Outcome, now: float) -> None:
    """Give back what the call did not use, and remember what it says of the vendor. `now` is UTC seconds."""
    lane = reservation.lane
    if lane is None:
        return
    begun, unused = reservation.started.timestamp(), reservation.tokens - outcome.usage.counted
    lanes.give_back(connection, lane, unused, begun=begun, now=now)
    if outcome.reply is not None:
        lanes.change_health(connection, lane, pace.answered, now)
        named = lanes.named_time(connection, lane, now)
        if named.until > now and named.said <= begun:
            lanes.name_time(connection, lane, Named(), now)
        return
    _heard(connection, reservation, outcome.failure, now)


def refused(connection: Connection, reservation: Reservation, error: ModelError, now: float) -> None:
    """Give the whole turn back, and remember what the refusal says of the vendor. `now` is UTC seconds."""
    lane = reservation.lane
    if lane is not None:
        begun = reservation.started.timestamp()
        lanes.give_back(connection, lane, reservation.tokens, begun=begun, now=now)
        _heard(connection, reservation, error, now)


def _heard(connection: Connection, reservation: Reservation, error: ModelError | None, now: float) -> None:
    lane, key = cast("Lane", reservation.lane), reservation.key
    if error is None or error.kind == "protocol":
        lanes.change_health(connection, lane, partial(pace.unheard, key=key), now)
    elif error.kind in pace.FAILURES:
        lanes.change_health(connection, lane, partial(pace.failed, kind=error.kind, key=key, now=now), now)
    else:
        lanes.change_health(connection, lane, pace.answered, now)
    seconds = pace.credible(error.retry_after) if error is not None else None
    if error is not None and error.kind in {"rate_limit", "overloaded"} and seconds:
        lanes.name_time(connection, lane, Named(now + seconds, error.kind), now)
