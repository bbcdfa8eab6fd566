"""Find every problem of configuration, tickets and machine; nothing is spent but what `--probe` asks for."""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio

from pipeline import loader
from pipeline.errors import EXIT_CODES
from pipeline.memory.redaction import redactor
from pipeline.options import add_repository_options
from pipeline.preflight import Preflight, PreflightRequest, preflight, probe_report
from pipeline.preflight.envelope import render
from pipeline.preflight.probe import Finding, Prober, at_most, probe, targets

LEFT_OUT = "left out with --config-only: keys, repository, Docker, image"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("tickets", nargs="*", metavar="TICKET", help="tickets to check too")
    parser.add_argument("--base", metavar="REF", help="the commit a run would start from")
    parser.add_argument("--strict", action="store_true", help="count warnings as problems")
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--config-only", action="store_true", help="look at the file alone: no keys, no Docker, no repository"
    )
    either.add_argument(
        "--probe", action="store_true", help="if nothing is wrong, make one tiny, paid call to each model"
    )
    add_repository_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem on a line of its own, or the envelope and what each model answered."""
    found = anyio.run(preflight, _request(arguments))
    _print_problems(found)
    for note in (*found.notes, *(found.choice.notes if found.choice else ())):
        sys.stdout.write(f"note: {note}\n")
    if found.choice is not None:
        sys.stdout.write(f"environment: {found.choice.line()}\n")
    if found.envelope is not None and not found.problems:
        sys.stdout.write(render(found.envelope))
    if arguments.config_only:
        sys.stderr.write(LEFT_OUT + "\n")
    if arguments.probe and not found.problems:
        return _probe(found, strict=arguments.strict)
    sys.stderr.write(_verdict(found))
    return EXIT_CODES["refused"] if found.problems else 0


def _print_problems(found: Preflight) -> None:
    for problem in found.problems:
        sys.stdout.write(f"{problem.line_text()}\n")
    for warning in found.warnings:
        sys.stdout.write(f"warning: {warning.line_text()}\n")


def _probe(found: Preflight, *, strict: bool) -> int:
    """Ask each model once, say so beforehand, and print what came back."""
    settings = found.settings
    assert settings is not None
    asked = targets(settings)
    sys.stderr.write(probe_report.announcement(asked, at_most(settings, asked)))
    answers = anyio.run(probe, Prober(settings, found.keys, loader.connect, time.monotonic), asked)
    sys.stdout.write(redactor(found.keys.values())(probe_report.render(answers)))
    judged = _judged(found, answers, strict=strict)
    _print_problems(judged)
    sys.stderr.write(_probed(judged, answers))
    return EXIT_CODES["refused"] if judged.problems else 0


def _judged(found: Preflight, answers: tuple[Finding, ...], *, strict: bool) -> Preflight:
    """Return what only the probe found."""
    assert found.settings is not None
    problems = probe_report.problems(answers, found.settings, found.positions)
    warnings = probe_report.warnings(answers, found.settings, found.positions)
    if strict:
        problems, warnings = (*problems, *warnings), ()
    return replace(found, problems=problems, warnings=warnings)


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


def _probed(judged: Preflight, answers: tuple[Finding, ...]) -> str:
    if not judged.problems:
        return f"no problem in {judged.config_path}; every model answered ({probe_report.spent(answers)})\n"
    count = len(judged.problems)
    return f"{count} problem{'s' if count > 1 else ''}; the answers came to {probe_report.spent(answers)}\n"
