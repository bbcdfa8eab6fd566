"""List runs, newest first."""

import argparse
import json
import os
import sys
import time
from typing import Any

from pipeline.memory.journal import run_ids
from pipeline.memory.lookup import opened
from pipeline.options import add_state_options
from pipeline.reporting.archive import ArchivedRun, read_run
from pipeline.reporting.wording import columns, duration, money

NEWEST = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--limit", type=int, default=NEWEST, metavar="N", help=f"how many; default {NEWEST}, 0 for all")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the newest runs."""
    with opened(arguments, os.environ) as store:
        newest = [read_run(store, run_id) for run_id in reversed(run_ids(store)[-max(0, arguments.limit) :])]
    if arguments.json:
        sys.stdout.write(json.dumps({"runs": [_fields(entry) for entry in newest]}, indent=2) + "\n")
    elif newest:
        sys.stdout.write(columns(("RUN", "TICKET", "STATUS", "TOKENS", "COST", "AGE"), map(_row, newest)))
    else:
        sys.stderr.write("no runs yet; `stagewright run TICKET` makes one\n")
    return 0


def _fields(entry: ArchivedRun) -> dict[str, Any]:
    told = entry.account
    return {
        "run_id": told.run_id,
        "ticket_id": entry.ticket.id,
        "title": entry.ticket.title,
        "status": told.ended.status if told.ended else None,
        "tokens": told.spending.counted,
        "cost": told.spending.cost_text,
        "started_at": told.started_at.isoformat(),
        "seconds": round(told.seconds, 3),
        "branch": told.ended.branch if told.ended else None,
    }


def _row(entry: ArchivedRun) -> tuple[str, ...]:
    told = entry.account
    status = told.ended.status.replace("_", " ") if told.ended else "not ended"
    age = duration(max(0.0, time.time() - told.started_at.timestamp()))
    tokens, cost = f"{told.spending.counted:,}", money(told.spending.cost)
    return (told.run_id, entry.ticket.id, status, tokens, cost, age)
