"""Reads a run back from the database: its account, configuration, ticket, receipt and patch."""

import json
import time
from dataclasses import dataclass
from typing import Any

from pipeline.config.load import settings_from_json
from pipeline.config.settings import Settings
from pipeline.errors import InfrastructureError
from pipeline.memory.calls import call_rows
from pipeline.memory.database import Store
from pipeline.memory.journal import Journal
from pipeline.reporting.account import Account, account
from stages.artifacts import Ticket


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """Everything the database knows about a run that somebody may be shown.

    `patch` is the unified diff kept at the run's end, None while there is none. `receipt` is JSON.
    """

    account: Account
    settings: Settings
    ticket: Ticket
    receipt: dict[str, Any] | None
    patch: bytes | None


def read_run(store: Store, run_id: str) -> ArchivedRun:
    """Return a run as it stands.

    :raises InfrastructureError: its journal is empty.
    """
    journal = reading(store, run_id)
    events = journal.events()
    if not events:
        raise InfrastructureError(f"run {run_id} has no events: the database was cut off before its first one")
    told = account(events, call_rows(store, run_id))
    ended = told.ended
    return ArchivedRun(
        account=told,
        settings=settings_from_json(journal.get(told.state.config)),
        ticket=Ticket.model_validate_json(journal.get(told.started.ticket)),
        receipt=json.loads(journal.get(ended.receipt)) if ended and ended.receipt else None,
        patch=journal.get(ended.patch) if ended and ended.patch else None,
    )


def reading(store: Store, run_id: str) -> Journal:
    """Return a run's journal for reading alone: nothing is appended, so nothing is there to redact."""
    return Journal(store, run_id, clock=time.time, redact=lambda text: text)
