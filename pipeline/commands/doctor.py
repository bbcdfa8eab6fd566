"""Look at this machine alone: Docker, image, git, Python, keys, state folder."""

import argparse
import os
import sys

import anyio

from pipeline.errors import EXIT_CODES
from pipeline.options import add_state_options, state_dir
from pipeline.preflight.examination import Finding, examine

MARKS = {True: "ok     ", False: "missing", None: "-      "}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found and what to type; the exit code says whether a run could work here."""
    findings = anyio.run(examine, os.environ, state_dir(arguments, os.environ))
    for finding in findings:
        sys.stdout.write(_line(finding))
    broken = [finding for finding in findings if finding.good is False]
    verdict = "this machine is ready" if not broken else f"not ready: {', '.join(finding.name for finding in broken)}"
    sys.stderr.write(verdict + "\n")
    return EXIT_CODES["infrastructure"] if broken else 0


def _line(finding: Finding) -> str:
    hint = f"\n{'':20}{finding.hint}" if finding.hint else ""
    return f"{MARKS[finding.good]} {finding.name:<11} {finding.text}{hint}\n"
