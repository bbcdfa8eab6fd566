"""Build sandbox images, remove what dead runs left behind, or look inside a run's work tree."""

import argparse
import os
import sys
import time
from functools import partial

import anyio

from pipeline.errors import InfrastructureError, UsageError
from pipeline.memory.journal import Journal
from pipeline.memory.lookup import add_run_argument, found
from pipeline.options import add_state_options, state_dir
from pipeline.running.look_inside import Wanted, look_inside, require_terminal, view_of
from sandbox.base import SandboxError
from sandbox.image import build_image
from sandbox.old_images import remove_old_images
from sandbox.reaper import remove_orphans
from sandbox.recipe import RECIPES, Recipe
from sandbox.registry import load_backend

IMAGE_DAYS = 30.0
MOST_DAYS = 100_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="build our own images, unless they are there already")
    build.add_argument("images", nargs="*", metavar="IMAGE", help=f"{' or '.join(RECIPES)}; default: python")
    build.add_argument("--all", action="store_true", help="build every one of them")
    build.add_argument("--force", action="store_true", help="build it again")
    collect = actions.add_parser("gc", help="remove containers and volumes whose runner is dead, and only those")
    collect.add_argument(
        "--images",
        nargs="?",
        type=_days,
        const=IMAGE_DAYS,
        metavar="DAYS",
        help=f"prepared images made more than DAYS ({IMAGE_DAYS:g}) ago too",
    )
    shell = actions.add_parser("shell", help="look inside a run's work tree, in a new container of the same make")
    add_run_argument(shell)
    shell.add_argument("--item", metavar="ID", help="the tree of the last attempt for this work item")
    shell.add_argument("--attempt", type=int, metavar="N", help="the tree of the attempt with this number")
    shell.add_argument("-c", dest="command_line", metavar="COMMAND", help="run one command instead of a shell")
    add_state_options(shell)


def run(arguments: argparse.Namespace) -> int:
    """Do the action; print what was made or removed, and say what goes on."""
    try:
        match arguments.action:
            case "build":
                return _build(_chosen(arguments), force=arguments.force)
            case "shell":
                return _shell(arguments)
            case _:
                return _collect(arguments.images)
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


def _collect(image_days: float | None) -> int:
    removed = anyio.run(partial(remove_orphans, say=_say))
    if image_days is not None:
        removed += anyio.run(partial(remove_old_images, image_days, now=time.time(), say=_say))
    sys.stdout.writelines(f"{identifier}\n" for identifier in removed)
    if not removed:
        _say("nothing to remove: every container of ours has a living owner")
    return 0


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days < MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is no number of days")
    return days


def _shell(arguments: argparse.Namespace) -> int:
    if arguments.command_line is None:
        require_terminal()
    folder = state_dir(arguments, os.environ)
    with found(arguments, os.environ) as (store, run_id):
        journal = Journal(store, run_id, clock=time.time, redact=str)
        view = view_of(journal, folder, Wanted(arguments.item, arguments.attempt))
    return anyio.run(look_inside, load_backend(), view, arguments.command_line)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
