"""Find every problem of configuration, tickets and machine without spending anything."""

import argparse
import os
import sys
from pathlib import Path

import anyio

from pipeline.errors import EXIT_CODES
from pipeline.options import add_repository_options
from pipeline.preflight import Preflight, PreflightRequest, preflight
from pipeline.preflight.envelope import render

LEFT_OUT = "left out with --config-only: keys, repository, Docker, image"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("tickets", nargs="*", metavar="TICKET", help="tickets to check too")
    parser.add_argument("--base", metavar="REF", help="the commit a run would start from")
    parser.add_argument("--strict", action="store_true", help="count warnings as problems")
    parser.add_argument(
        "--config-only", action="store_true", help="look at the file alone: no keys, no Docker, no repository"
    )
    add_repository_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem on a line of its own, or the envelope."""
    found = anyio.run(preflight, _request(arguments))
    for problem in found.problems:
        sys.stdout.write(f"{problem.line_text()}\n")
    for warning in found.warnings:
        sys.stdout.write(f"warning: {warning.line_text()}\n")
    for note in (*found.notes, *(found.choice.notes if found.choice else ())):
        sys.stdout.write(f"note: {note}\n")
    if found.choice is not None:
        sys.stdout.write(f"environment: {found.choice.line()}\n")
    if found.envelope is not None and not found.problems:
        sys.stdout.write(render(found.envelope))
    if arguments.config_only:
        sys.stderr.write(LEFT_OUT + "\n")
    sys.stderr.write(_verdict(found))
    return EXIT_CODES["refused"] if found.problems else 0


def _request(arguments: argparse.Namespace) -> PreflightRequest:
    return PreflightRequest(
        tickets=tuple(arguments.tickets),
        repo=arguments.repo,
        config=arguments.config,
        overrides=tuple(arguments.set),
        base=arguments.base,
        cwd=Path.cwd(),
        environ=os.environ,
        stdin=sys.stdin.read,
        config_only=arguments.config_only,
        strict=arguments.strict,
    )


def _verdict(found: Preflight) -> str:
    if not found.problems:
        return f"no problem in {found.config_path}\n"
    count = len(found.problems)
    return f"{count} problem{'s' if count > 1 else ''}; nothing was started, nothing was spent\n"
