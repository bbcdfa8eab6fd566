"""Continue a run from its last finished attempt."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.memory.database import Store
from pipeline.memory.lookup import add_run_argument, found, state_words
from pipeline.options import add_state_options, state_dir
from pipeline.running.conduct import Output, add_keep_option, add_output_options, conduct, live_view, real_seams, tell
from pipeline.running.opening import Place, Resumption, resumed_run
from pipeline.running.resumption import Given, resumption


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_run_argument(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="another configuration from here on")
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="override a value from here on")
    parser.add_argument("--guidance", metavar="TEXT", help="your word to the stage that ended, as a fact")
    add_keep_option(parser)
    add_output_options(parser)
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Say what is kept, go on, and say how it ended."""
    given = Given(arguments.config, tuple(arguments.set), arguments.guidance)
    with found(arguments, os.environ) as (store, run_id):
        going_on = resumption(store, run_id, given, os.environ)
        for line in going_on.notes:
            sys.stderr.write(f"{line}\n")
        return _execute(store, run_id, going_on.resumption, arguments)


def _execute(store: Store, run_id: str, going_on: Resumption, arguments: argparse.Namespace) -> int:
    folder = state_dir(arguments, os.environ)
    output = Output.of(arguments)
    with live_view(going_on.settings.limits) as view:
        place = Place(store, folder, output.listener(view))
        with resumed_run(place, run_id, going_on, real_seams(view)) as opened:
            conduct(replace(opened, keep_sandbox=arguments.keep_sandbox))
    return tell(store, run_id, output, folder, state_words(arguments))
