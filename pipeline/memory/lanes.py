"""The rows of table `pace`: one per vendor and unit, each changed in the caller's transaction."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection, Row

from pipeline.memory import pace
from pipeline.memory.database import CALL, PACE, insert_once
from pipeline.memory.pace import Health, Lane, Named, Traffic, Unit

HEALTH = "health"
UNITS: tuple[Unit, ...] = ("requests", "tokens")
WRITTEN = "written"  # in each row's fields: UTC seconds
SKEW = 60.0  # seconds: a row written later than this from now was written before the clock was put back


def traffic(connection: Connection, lane: Lane, now: datetime, works: Callable[[str], bool]) -> Traffic:
    """Return how a lane stands, locked against other writers until the transaction ends.

    `works` tells whether a process still works on a run: what a dead one left in flight is not.
    """
    rows = _rows(connection, lane, now.timestamp())
    at = {bucket.unit: bucket.at for bucket in _buckets(rows, lane) if bucket.per_minute == _limit(lane, bucket.unit)}
    return Traffic(
        in_flight=_in_flight(connection, lane, now, works),
        requests_at=at.get("requests", 0.0),
        tokens_at=at.get("tokens", 0.0),
        named=_word(rows, lane),
        health=_alive(connection, _health(rows), works),
    )


def begin(connection: Connection, lane: Lane, tokens: int, now: float) -> None:
    """Take a turn for a call of at most so many tokens, from every limit that somebody has for this vendor."""
    for bucket in _buckets(_rows(connection, lane, now), lane):
        amount = tokens if bucket.unit == "tokens" else 1
        at = pace.later(bucket.at, amount, bucket.per_minute, now=now)
        _write(connection, lane, bucket.name, at, now, {"since": min(bucket.since, now)})


def give_back(connection: Connection, lane: Lane, tokens: int, *, begun: float, now: float) -> None:
    """Return what a call that began then did not use of its turn, to the limits it was taken from."""
    for bucket in _buckets(_rows(connection, lane, now), lane):
        if bucket.unit == "tokens" and tokens > 0 and bucket.since <= begun:
            at = pace.returned(bucket.at, tokens, bucket.per_minute)
            _write(connection, lane, bucket.name, at, now, {"since": bucket.since})


def change_health(connection: Connection, lane: Lane, change: Callable[[Health], Health], now: float) -> None:
    """Write how the vendor is doing, where that changes."""
    before = _health(_rows(connection, lane, now))
    after = change(before)
    if after != before:
        fields = {
            "failures": after.failures,
            "kind": after.kind,
            "probing": after.probing,
            "probe_ends": after.probe_ends,
        }
        _write(connection, lane, HEALTH, after.until, now, fields)


def name_time(connection: Connection, lane: Lane, named: Named, now: float) -> None:
    """Remember until when the vendor said that this model would not answer; the newest word counts."""
    _write(connection, lane, _named(lane), named.until, now, {"kind": named.kind})


def named_time(connection: Connection, lane: Lane, now: float) -> Named:
    """Return what the vendor said last of when this model answers again."""
    return _word(_rows(connection, lane, now), lane)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """What one limit of a vendor has taken: each configuration's own, as runs may have different ones.

    `since` is from when on calls are taken from it, infinite while there is no row.
    """

    unit: Unit
    per_minute: int
    at: float = 0.0
    since: float = math.inf

    @property
    def name(self) -> str:
        return f"{self.unit} {self.per_minute}"


def _limit(lane: Lane, unit: Unit) -> int | None:
    return lane.requests_per_minute if unit == "requests" else lane.tokens_per_minute


def _buckets(rows: Mapping[str, Row[Any]], lane: Lane) -> list[_Bucket]:
    """Return every limit that was ever used for the vendor, and the lane's own."""
    found: dict[str, _Bucket] = {}
    for unit in UNITS:
        limit = _limit(lane, unit)
        if limit is not None:
            found[f"{unit} {limit}"] = _Bucket(unit, limit)
        for name, row in rows.items():
            word, _, per_minute = name.partition(" ")
            if word == unit and per_minute:
                found[name] = _Bucket(unit, int(per_minute), row.at, row.fields["since"])
    return list(found.values())


def _health(rows: Mapping[str, Row[Any]]) -> Health:
    row = rows.get(HEALTH)
    if row is None:
        return Health()
    return Health(until=row.at, **{name: value for name, value in row.fields.items() if name != WRITTEN})


def _alive(connection: Connection, health: Health, works: Callable[[str], bool]) -> Health:
    """Return the health without a probe that ended, or whose process did, before anything was heard of it."""
    if health.probing is None:
        return health
    wanted = select(CALL.c.run, CALL.c.state).where(CALL.c.key == health.probing)
    call = connection.execute(wanted).one_or_none()
    under_way = call is not None and call.state == "held" and works(call.run)
    return health if under_way else pace.unheard(health, health.probing)


def _word(rows: Mapping[str, Row[Any]], lane: Lane) -> Named:
    row = rows.get(_named(lane))
    return Named(row.at, row.fields["kind"], row.fields.get(WRITTEN, 0.0)) if row else Named()


def _named(lane: Lane) -> str:
    return f"named {lane.model}"


def _in_flight(connection: Connection, lane: Lane, now: datetime, works: Callable[[str], bool]) -> int:
    if lane.max_concurrency is None:
        return 0
    held = select(CALL.c.run).where(CALL.c.vendor == lane.vendor, CALL.c.state == "held", CALL.c.lease > now)
    runs = list(connection.execute(held).scalars())
    alive = {run for run in set(runs) if works(run)}
    return sum(run in alive for run in runs)


def _rows(connection: Connection, lane: Lane, now: float) -> dict[str, Row[Any]]:
    """Return the vendor's rows by unit, locked, without those of before the clock was put back."""
    wanted = select(PACE).where(PACE.c.vendor == lane.name).with_for_update()
    return {row.unit: row for row in connection.execute(wanted) if row.fields.get(WRITTEN, 0.0) <= now + SKEW}


def _write(connection: Connection, lane: Lane, unit: str, at: float, now: float, fields: Mapping[str, Any]) -> None:
    key = {"vendor": lane.name, "unit": unit}
    connection.execute(insert_once(PACE, {**key, "at": 0.0, "fields": {}}))
    same = (PACE.c.vendor == lane.name, PACE.c.unit == unit)
    connection.execute(update(PACE).where(*same).values(at=at, fields={**fields, WRITTEN: now}))
