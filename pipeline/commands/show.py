"""Show what happened in a run, event by event."""

import argparse
import json
import os
import sys

from pipeline.memory.lookup import add_run_argument, found
from pipeline.options import add_state_options
from pipeline.reporting.archive import reading
from pipeline.reporting.telling import telling


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_run_argument(parser)
    parser.add_argument(
        "--json", "--events", action="store_true", dest="json", help="one JSON object a line, every field"
    )
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each event."""
    with found(arguments, os.environ) as (store, run_id):
        events = reading(store, run_id).events()
    for stored in events:
        if arguments.json:
            sys.stdout.write(json.dumps(stored.fields()) + "\n")
        else:
            sys.stdout.write(f"{stored.seq:>5}  {stored.at:%Y-%m-%d %H:%M:%S}  {telling(stored.event)}\n")
    return 0
