"""Build the sandbox image, or remove what dead runs left behind."""

import argparse
import sys
import time
from functools import partial

import anyio

from pipeline.errors import InfrastructureError, UsageError
from sandbox.base import SandboxError
from sandbox.image import build_image
from sandbox.reaper import remove_orphans
from sandbox.recipe import RECIPES, Recipe


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="build our own images, unless they are there already")
    build.add_argument("images", nargs="*", metavar="IMAGE", help=f"{' or '.join(RECIPES)}; default: python")
    build.add_argument("--all", action="store_true", help="build every one of them")
    build.add_argument("--force", action="store_true", help="build it again")
    actions.add_parser("gc", help="remove containers whose runner is dead, and only those")


def run(arguments: argparse.Namespace) -> int:
    """Do the action; print what was made or removed, and say what goes on."""
    try:
        return _build(_chosen(arguments), force=arguments.force) if arguments.action == "build" else _collect()
    except SandboxError as error:
        raise InfrastructureError(str(error)) from error


def _chosen(arguments: argparse.Namespace) -> list[Recipe]:
    if arguments.all:
        return list(RECIPES.values())
    names = [name.removeprefix("stagewright/") for name in arguments.images or ["python"]]
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        raise UsageError(f"there is no image {unknown[0]!r} to build; type one of: {', '.join(RECIPES)}, or --all")
    return [RECIPES[name] for name in dict.fromkeys(names)]


def _build(recipes: list[Recipe], *, force: bool) -> int:
    started = time.monotonic()

    def say(line: str) -> None:
        _say(f"[{time.monotonic() - started:5.1f} s] {line}")

    for recipe in recipes:
        identifier = anyio.run(partial(build_image, recipe.name, say=say, force=force, recipe=recipe))
        sys.stdout.write(f"{identifier}\n")
        sys.stdout.flush()
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
