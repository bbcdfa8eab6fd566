"""The append-only journal of a run: events in order, and the exact content they name by hash."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.engine import Connection

from pipeline.errors import InfrastructureError, UsageError
from pipeline.events import AnyEvent, dump, parse
from pipeline.memory.database import BLOB, EVENT, Store, insert_once
from pipeline.memory.redaction import redact_json


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it was stored: `seq` counts from 1 without gaps per run, `at` is UTC."""

    run_id: str
    seq: int
    at: datetime
    event: AnyEvent

    def fields(self) -> dict[str, Any]:
        """Return the event as one flat JSON object, as `--events` prints it."""
        head = {"run_id": self.run_id, "seq": self.seq, "at": self.at.isoformat(timespec="microseconds")}
        return head | dump(self.event)


class Journal:
    """The events of one run. `clock` is UTC seconds since the epoch; `redact` is applied to every string."""

    def __init__(self, store: Store, run_id: str, *, clock: Callable[[], float], redact: Callable[[str], str]) -> None:
        self.store = store
        self.run_id = run_id
        self.clock = clock
        self._redact = redact
        self._listeners: list[Callable[[Stored], None]] = []

    def now(self) -> datetime:
        """Return the time an event would get."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def append(self, event: AnyEvent, connection: Connection | None = None) -> Stored:
        """Add an event, in the transaction of `connection` (from `Store.begin`) or in one of its own.

        Listeners hear of it when it is committed, as it was stored.

        :raises InfrastructureError: the database cannot be written.
        """
        if connection is None:
            with self.store.begin() as own:
                return self.append(event, own)
        fields = redact_json(dump(event), self._redact)
        last = select(func.coalesce(func.max(EVENT.c.seq), 0)).where(EVENT.c.run == self.run_id)
        stored = Stored(self.run_id, connection.execute(last).scalar_one() + 1, self.now(), parse(fields))
        row = {"run": self.run_id, "seq": stored.seq, "at": stored.at, "kind": event.kind, "fields": fields}
        connection.execute(insert(EVENT).values(row))
        self.store.after_commit(connection, lambda: self._tell(stored))
        return stored

    def events(self, after: int = 0) -> list[Stored]:
        """Return the events with a greater sequence number than `after`, in order."""
        wanted = select(EVENT).where(EVENT.c.run == self.run_id, EVENT.c.seq > after).order_by(EVENT.c.seq)
        with self.store.read() as connection:
            rows = connection.execute(wanted).all()
        return [Stored(row.run, row.seq, row.at, parse(row.fields)) for row in rows]

    def put(self, content: bytes, connection: Connection | None = None) -> str:
        """Keep content exactly, once, and return its SHA-256 in hex."""
        if connection is None:
            with self.store.begin() as own:
                return self.put(content, own)
        digest = hashlib.sha256(content).hexdigest()
        connection.execute(insert_once(BLOB, {"digest": digest, "content": content}))
        return digest

    def get(self, digest: str) -> bytes:
        """Return content by its hash.

        :raises InfrastructureError: it was never kept, or is damaged.
        """
        with self.store.read() as connection:
            found = connection.execute(select(BLOB.c.content).where(BLOB.c.digest == digest)).scalar()
        if found is None or hashlib.sha256(found).hexdigest() != digest:
            what = "is missing from" if found is None else "is damaged in"
            raise InfrastructureError(f"content {digest} {what} the state database; restore it from a copy")
        return bytes(found)

    def listen(self, callback: Callable[[Stored], None]) -> None:
        """Call back with every event appended through this object, after its commit, in order."""
        self._listeners.append(callback)

    def _tell(self, stored: Stored) -> None:
        for listener in self._listeners:
            listener(stored)


def run_ids(store: Store) -> list[str]:
    """Return the ids of all runs, newest last."""
    with store.read() as connection:
        return list(connection.execute(select(EVENT.c.run).distinct().order_by(EVENT.c.run)).scalars())


def resolve_run(store: Store, text: str) -> str:
    """Return the run id that an id, a unique prefix or `last` means.

    :raises UsageError: no run or several runs; the message names the candidates.
    """
    known = run_ids(store)
    if text in known:
        return text
    matches = known[-1:] if text == "last" else [run_id for run_id in known if text and run_id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{text!r} is the beginning of {len(matches)} runs: {_shown(matches)}; type more of it")
    if not known:
        raise UsageError(f"no run {text!r}: this state folder has no runs yet")
    raise UsageError(f"no run {text!r}; the newest are {_shown(known)}")


def new_run_id(now: float, random: Callable[[int], bytes]) -> str:
    """Return an id that sorts by time (UTC seconds since the epoch), such as `20261120-095944-123f09a3c`."""
    at = datetime.fromtimestamp(now, UTC)
    return f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}{random(3).hex()}"


def _shown(candidates: list[str]) -> str:
    most = 5
    return ", ".join(candidates[-most:]) + (" and older ones" if len(candidates) > most else "")
