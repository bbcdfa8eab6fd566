"""Write a first pipeline.yaml for this repository; never overwrites."""

import argparse
import os
import sys
from pathlib import Path

from pipeline.config.load import load_text
from pipeline.config.locate import NAME, repository_root
from pipeline.errors import UsageError
from pipeline.options import add_repository_options
from pipeline.preflight.starter import starter, with_overrides
from pipeline.problem import PreflightError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_repository_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file and say what comes next."""
    start = Path.cwd() / arguments.repo.expanduser() if arguments.repo else Path.cwd()
    if not start.is_dir():
        raise UsageError(f"{start} is no folder: name one with --repo")
    folder = repository_root(start) or start
    path = Path.cwd() / arguments.config.expanduser() if arguments.config else folder / NAME
    text = starter(folder, os.environ)
    if arguments.set:
        judged = load_text(text, path.parent, overrides=arguments.set, environ=os.environ, shown=str(path))
        if judged.problems:
            raise PreflightError(judged.problems)
        text = with_overrides(text, tuple(arguments.set))
    _write(path, text)
    sys.stdout.write(f"{path}\n")
    sys.stderr.write("written. Read it, then type `stagewright check`\n")
    return 0


def _write(path: Path, text: str) -> None:
    """Create the file; whatever is there, a dangling link included, stays as it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists and is not overwritten: remove it first, or name another with --config"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
