"""Build the sandbox image, or remove what dead runs left behind."""

import argparse
import sys
import time
from functools import partial

import anyio

from pipeline.errors import InfrastructureError
from sandbox.base import SandboxError
from sandbox.image import DEFAULT_IMAGE, build_image
from sandbox.reaper import remove_orphans


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help=f"build {DEFAULT_IMAGE}, unless it is there already")
    build.add_argument("--force", action="store_true", help="build it again")
    actions.add_parser("gc", help="remove containers whose runner is dead, and only those")


def run(arguments: argparse.Namespace) -> int:
    """Do the action; print what was made or removed, and say what goes on."""
    try:
        return _build(force=arguments.force) if arguments.action == "build" else _collect()
    except SandboxError as error:
        raise InfrastructureError(str(error)) from error


def _build(*, force: bool) -> int:
    started = time.monotonic()

    def say(line: str) -> None:
        _say(f"[{time.monotonic() - started:5.1f} s] {line}")

    identifier = anyio.run(partial(build_image, DEFAULT_IMAGE, say=say, force=force))
    sys.stdout.write(f"{identifier}\n")
    return 0


def _collect() -> int:
    removed = anyio.run(partial(remove_orphans, say=_say))
    sys.stdout.writelines(f"{identifier}\n" for identifier in removed)
    if not removed:
        _say("nothing to remove: every container of ours has a living owner")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
