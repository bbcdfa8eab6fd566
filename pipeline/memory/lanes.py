"""The rows of table `pace`: one per vendor and unit, each changed in the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from pipeline.memory import pace
from pipeline.memory.database import CALL, PACE, insert_once
from pipeline.memory.pace import Health, Lane, Named, Traffic

HEALTH = "health"


def traffic(connection: Connection, lane: Lane, now: datetime, works: Callable[[str], bool]) -> Traffic:
    """Return how a lane stands, locked against other writers until the transaction ends.

    `works` tells whether a process still works on a run: what a dead one left in flight is not.
    """
    wanted = select(PACE).where(PACE.c.vendor == lane.name).with_for_update()
    rows = {row.unit: row for row in connection.execute(wanted)}
    at = {unit: rows[unit].at if unit in rows else 0.0 for unit in ("requests", "tokens")}
    named, health = rows.get(_named(lane)), rows.get(HEALTH)
    return Traffic(
        in_flight=_in_flight(connection, lane, now, works),
        requests_at=at["requests"],
        tokens_at=at["tokens"],
        named=Named(named.at, named.fields["kind"]) if named else Named(),
        health=Health(until=health.at, **health.fields) if health else Health(),
    )


def begin(connection: Connection, lane: Lane, standing: Traffic, tokens: int, now: float) -> None:
    """Take a turn for a call of at most so many tokens."""
    if lane.requests_per_minute is not None:
        _write(connection, lane, "requests", pace.later(standing.requests_at, 1, lane.requests_per_minute, now=now))
    if lane.tokens_per_minute is not None:
        _write(connection, lane, "tokens", pace.later(standing.tokens_at, tokens, lane.tokens_per_minute, now=now))


def give_back(connection: Connection, lane: Lane, tokens: int) -> None:
    """Return what a call did not use of its turn."""
    if lane.tokens_per_minute is None or tokens <= 0:
        return
    at = connection.execute(
        select(PACE.c.at).where(PACE.c.vendor == lane.name, PACE.c.unit == "tokens").with_for_update()
    ).scalar()
    if at is not None:
        _write(connection, lane, "tokens", pace.returned(at, tokens, lane.tokens_per_minute))


def change_health(connection: Connection, lane: Lane, change: Callable[[Health], Health]) -> None:
    """Write how the vendor is doing, where that changes."""
    wanted = select(PACE).where(PACE.c.vendor == lane.name, PACE.c.unit == HEALTH).with_for_update()
    row = connection.execute(wanted).one_or_none()
    before = Health(until=row.at, **row.fields) if row else Health()
    after = change(before)
    if after != before:
        fields = {
            "failures": after.failures,
            "kind": after.kind,
            "probing": after.probing,
            "probe_ends": after.probe_ends,
        }
        _write(connection, lane, HEALTH, after.until, fields)


def name_time(connection: Connection, lane: Lane, named: Named) -> None:
    """Remember until when the vendor said that this model would not answer; the newest word counts."""
    _write(connection, lane, _named(lane), named.until, {"kind": named.kind})


def named_time(connection: Connection, lane: Lane) -> Named:
    """Return what the vendor said last of when this model answers again."""
    wanted = select(PACE).where(PACE.c.vendor == lane.name, PACE.c.unit == _named(lane))
    row = connection.execute(wanted).one_or_none()
    return Named(row.at, row.fields["kind"]) if row else Named()


def _named(lane: Lane) -> str:
    return f"named {lane.model}"


def _in_flight(connection: Connection, lane: Lane, now: datetime, works: Callable[[str], bool]) -> int:
    if lane.max_concurrency is None:
        return 0
    held = select(CALL.c.run).where(CALL.c.vendor == lane.vendor, CALL.c.state == "held", CALL.c.lease > now)
    runs = list(connection.execute(held).scalars())
    alive = {run for run in set(runs) if works(run)}
    return sum(run in alive for run in runs)


def _write(connection: Connection, lane: Lane, unit: str, at: float, fields: Mapping[str, Any] | None = None) -> None:
    key = {"vendor": lane.name, "unit": unit}
    connection.execute(insert_once(PACE, {**key, "at": 0.0, "fields": {}}))
    same = (PACE.c.vendor == lane.name, PACE.c.unit == unit)
    connection.execute(update(PACE).where(*same).values(at=at, fields=dict(fields or {})))
