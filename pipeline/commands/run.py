"""Run a ticket through the four stages."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio

from pipeline.errors import EXIT_CODES, UsageError
from pipeline.git.repository import open_repository
from pipeline.memory.database import open_store
from pipeline.memory.journal import Stored
from pipeline.memory.lookup import state_words
from pipeline.options import add_repository_options, add_state_options, state_dir, state_location
from pipeline.preflight import Preflight, PreflightRequest, preflight
from pipeline.reporting.result import refused
from pipeline.running.conduct import Output, add_keep_option, add_output_options, conduct, live_view, real_seams, tell
from pipeline.running.opening import Place, Start, new_run


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("tickets", nargs="+", metavar="TICKET", help="a .md, .txt or .json file, or - for stdin")
    parser.add_argument("--base", metavar="REF", help="the commit to start from; default: the ticket's, else HEAD")
    parser.add_argument("--tokens", metavar="N", help="another cap than `limits.tokens` for this run")
    parser.add_argument("--cost", metavar="USD", help="another cap than `limits.cost` for this run")
    parser.add_argument("--strict", action="store_true", help="treat warnings as problems")
    add_keep_option(parser)
    add_output_options(parser)
    add_repository_options(parser)
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check everything, run the ticket, and say how it ended."""
    if len(arguments.tickets) > 1:
        raise UsageError(
            f"{len(arguments.tickets)} tickets were given; several tickets in one run, with a budget of their own, "
            "are not built yet: give one ticket a run"
        )
    found = anyio.run(preflight, _request(arguments))
    if found.problems:
        return _refuse(found, as_json=arguments.json)
    for warning in found.warnings:
        sys.stderr.write(f"warning: {warning.line_text()}\n")
    return execute(starting_point(found), arguments, Output.of(arguments))


def _request(arguments: argparse.Namespace) -> PreflightRequest:
    limits = (("limits.tokens", arguments.tokens), ("limits.cost", arguments.cost))
    return PreflightRequest(
        tickets=tuple(arguments.tickets),
        repo=arguments.repo,
        config=arguments.config,
        overrides=(*arguments.set, *(f"{key}={value}" for key, value in limits if value is not None)),
        base=arguments.base,
        cwd=Path.cwd(),
        environ=os.environ,
        stdin=sys.stdin.read,
        strict=arguments.strict,
    )


def _refuse(found: Preflight, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(refused(found.problems), indent=2, ensure_ascii=False) + "\n")
    for problem in found.problems:
        sys.stderr.write(f"{problem.line_text()}\n")
    sys.stderr.write(f"refused: {len(found.problems)} problem(s); nothing was started and nothing was spent\n")
    return EXIT_CODES["refused"]


def starting_point(found: Preflight) -> Start:
    """Return what a run starts from once preflight found nothing wrong."""
    assert found.settings is not None
    assert found.ticket is not None
    assert found.repository is not None
    assert found.base is not None
    return Start(
        settings=found.settings,
        ticket=found.ticket,
        repository=open_repository(found.repository),
        base=found.base,
        config_path=found.config_path,
        config_trusted=found.config_trusted,
        config_lines=found.config_lines,
        overrides=found.overrides,
        warnings=tuple(warning.line_text() for warning in found.warnings),
        keys=found.keys,
    )


def execute(start: Start, arguments: argparse.Namespace, output: Output) -> int:
    """Run what preflight let through and return the exit code of its ending."""
    folder = state_dir(arguments, os.environ)
    store = open_store(state_location(arguments, os.environ))
    try:
        with live_view(start.settings.limits) as view:
            listen: Callable[[Stored], None] = output.listener(view)
            with new_run(Place(store, folder, listen), start, real_seams(view)) as opened:
                conduct(replace(opened, keep_sandbox=arguments.keep_sandbox))
        return tell(store, opened.run_id, output, folder, state_words(arguments))
    finally:
        store.close()
