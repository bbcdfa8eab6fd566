"""Print the report of a run."""

import argparse
import json
import os
import sys

from pipeline.memory.lookup import add_run_argument, found, state_words
from pipeline.options import add_state_options, state_dir
from pipeline.reporting.archive import read_run
from pipeline.reporting.report import extended, markdown
from pipeline.reporting.result import result, resume_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_run_argument(parser)
    parser.add_argument("--format", choices=("md", "json"), default="md", help="default md")
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the report in the format asked for."""
    words = state_words(arguments)
    with found(arguments, os.environ) as (store, run_id):
        archived = read_run(store, run_id)
        if arguments.format == "md":
            sys.stdout.write(markdown(archived, resume=resume_of(archived, words)))
            return 0
        document = result(store, run_id, folder=state_dir(arguments, os.environ), options=words)
    sys.stdout.write(json.dumps(extended(document, archived), indent=2) + "\n")
    return 0
