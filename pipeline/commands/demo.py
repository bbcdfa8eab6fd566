"""Run a recorded session on an example repository; no model runs and no key is needed."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

from pipeline.commands.run import execute, starting_point
from pipeline.errors import InfrastructureError, UsageError
from pipeline.options import add_state_options
from pipeline.preflight import PreflightRequest, preflight
from pipeline.resources import resource
from pipeline.running.conduct import Output, add_keep_option, add_output_options, add_wait_option

AUTHOR = ("-c", "user.name=Stagewright demo", "-c", "user.email=demo@example.invalid")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="where; default: a new temporary folder")
    add_wait_option(parser)
    add_keep_option(parser)
    add_output_options(parser)
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the example repository, run its ticket and say how to look at the result."""
    folder = _repository(arguments.folder)
    sys.stderr.write(
        "this is a recorded session: every reply comes from a file, no model runs, nothing is paid;\n"
        f"git, Docker, checks, gates, budget and branch are real. The repository is {folder}\n"
    )
    request = PreflightRequest(
        tickets=(str(folder / "TICKET.md"),),
        repo=folder,
        config=folder / "pipeline.yaml",
        cwd=folder,
        environ=os.environ,
        stdin=sys.stdin.read,
    )
    found = anyio.run(preflight, request)
    found.require()
    return execute(starting_point(found), arguments, Output.of(arguments))


def _repository(wanted: Path | None) -> Path:
    """Copy the example to a fresh folder and commit it there.

    :raises UsageError: the folder is there already and not empty.
    """
    if wanted is not None and wanted.exists() and any(wanted.iterdir()):
        raise UsageError(f"{wanted} is not empty; name a new folder")
    folder = (wanted or Path(tempfile.mkdtemp(prefix="stagewright-demo-"))).absolute()
    shutil.copytree(resource("demo"), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, *AUTHOR, "commit", "--quiet", "--no-gpg-sign", "-m", "The example as it was found")
    return folder


def _git(folder: Path, *words: str) -> None:
    """Run git in the example, which is ours and new; the wrapper for users' repositories never writes."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InfrastructureError(f"git {words[0]} failed in {folder}: {done.stderr.strip()}")
