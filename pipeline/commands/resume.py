"""Continue a run from its last finished attempt."""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from pipeline.events import RunEnded
from pipeline.memory.database import Store
from pipeline.memory.lookup import add_run_argument, found, state_words
from pipeline.options import add_state_options, state_dir
from pipeline.reporting.archive import read_run
from pipeline.running.conduct import (
    Output,
    add_keep_option,
    add_output_options,
    add_wait_option,
    conduct,
    live_view,
    real_seams,
    tell,
)
from pipeline.running.opening import Place, resumed_run
from pipeline.running.resumption import Given, GoingOn, resumption
from pipeline.running.run import Seams
from pipeline.running.waiting import NOTHING, wait_through


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_run_argument(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="another configuration from here on")
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="override a value from here on")
    parser.add_argument("--guidance", metavar="TEXT", help="your word to the stage that ended, as a fact")
    add_wait_option(parser)
    add_keep_option(parser)
    add_output_options(parser)
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Say what is kept, go on, and say how it ended."""
    given = Given(arguments.config, tuple(arguments.set), arguments.guidance)
    with found(arguments, os.environ) as (store, run_id):
        going_on = resumption(store, run_id, given, os.environ)
        return _execute(store, run_id, given, going_on, arguments)


def _execute(store: Store, run_id: str, given: Given, going_on: GoingOn, arguments: argparse.Namespace) -> int:
    folder, keep = state_dir(arguments, os.environ), arguments.keep_sandbox
    output = Output.of(arguments)
    with live_view(going_on.resumption.settings.limits) as view:
        place, seams = Place(store, folder, output.listener(view)), real_seams(view)
        ended = read_run(store, run_id).account.ended if arguments.wait else None
        if ended is None or ended.status != "parked":
            ended, given = _gone_on(place, run_id, going_on, seams, keep_sandbox=keep), NOTHING
        if arguments.wait:
            wait_through(place, run_id, ended, seams, os.environ, given=given, keep_sandbox=keep)
    return tell(store, run_id, output, folder, state_words(arguments))


def _gone_on(place: Place, run_id: str, going_on: GoingOn, seams: Seams, *, keep_sandbox: bool) -> RunEnded:
    for line in going_on.notes:
        seams.say(line)
    with resumed_run(place, run_id, going_on.resumption, seams) as opened:
        return conduct(replace(opened, keep_sandbox=keep_sandbox))
