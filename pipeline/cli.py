"""The command line: finds a command by its name, runs it, and turns every ending into an exit code.

The folder `pipeline/commands/` is the registry. Only the command that was asked for is imported, so that
`--help` and `--version` stay fast; help lines are read from the files. Each command module offers
`configure(parser)` and `run(arguments) -> int`.
"""

import argparse
import contextlib
import difflib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline import __version__
from pipeline.errors import EXIT_CODES, USAGE_ERROR, StagewrightError, UsageError

BROKEN_PIPE = 141  # what a shell reports for a program ended by SIGPIPE
SUMMARY = "Runs tickets against a git repository through four stages, bounded at every layer."


class Commands(NamedTuple):
    """A folder of commands and the package it is."""

    folder: Path
    package: str

    def names(self) -> tuple[str, ...]:
        """Return the name of every command there is."""
        return tuple(sorted(path.stem for path in self.folder.glob("[a-z]*.py")))

    def summary(self, name: str) -> str:
        """Return a command's help line, the first line of its module, without importing it."""
        with (self.folder / f"{name}.py").open(encoding="utf-8") as source:
            return source.readline().strip().strip('"').rstrip(".")


OURS = Commands(Path(__file__).with_name("commands"), "pipeline.commands")


def help_text(commands: Commands = OURS) -> str:
    """Return what `stagewright --help` prints."""
    width = max(map(len, commands.names()))
    lines = ["usage: stagewright COMMAND [OPTION ...]", "", SUMMARY, "", "commands:"]
    lines += [f"  {name:<{width}}  {commands.summary(name)}" for name in commands.names()]
    lines += ["", "options:", "  -h, --help  this text; after a command: its own options", "  --version   the version"]
    codes = sorted([(USAGE_ERROR, "usage error"), *((code, status) for status, code in EXIT_CODES.items())])
    lines += ["", "exit codes:", *(f"  {code:>3}  {ending.replace('_', ' ')}" for code, ending in codes)]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None, commands: Commands = OURS) -> int:
    """Run one command line and return its exit code; never raises for anything a user can cause."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git, our own message says what to install
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a letter must not end a command
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv), commands)
    except BrokenPipeError:
        code = BROKEN_PIPE
    except Exception:  # noqa: BLE001 - the outermost frame: a defect of ours must not exit 1, which means unsolved
        traceback.print_exc()
        _say("error: this is a defect of stagewright itself; the run, if there was one, is kept")
        code = EXIT_CODES["infrastructure"]
    return _flushed(code)


def _dispatch(words: list[str], commands: Commands) -> int:
    try:
        if not words or words[0] in {"-h", "--help", "help"}:
            sys.stdout.write(help_text(commands))
            return 0
        if words[0] == "--version":
            sys.stdout.write(f"stagewright {__version__}\n")
            return 0
        return _run_command(words[0], words[1:], commands)
    except StagewrightError as error:
        _say(f"{error.label}{error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_CODES["cancelled"]


def _run_command(name: str, words: list[str], commands: Commands) -> int:
    if name not in commands.names():
        raise UsageError(_unknown(name, commands))
    module = importlib.import_module(f"{commands.package}.{name}")
    about = f"{commands.summary(name)}."
    parser = argparse.ArgumentParser(prog=f"stagewright {name}", description=about, allow_abbrev=False)
    module.configure(parser)
    try:
        arguments = parser.parse_args(words)
    except SystemExit as ending:  # argparse ends the program itself: 2 for a usage error, 0 after --help
        return USAGE_ERROR if ending.code else 0
    code: int = module.run(arguments)
    return code


def _unknown(name: str, commands: Commands) -> str:
    kind = "option" if name.startswith("-") else "command"
    close = difflib.get_close_matches(name, (*commands.names(), "--version", "--help"), n=1)
    hint = f"did you mean `stagewright {close[0]}`?" if close else "`stagewright --help` lists them"
    return f"unknown {kind} `{name}`: {hint}"


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is there to be told
        sys.stderr.write(text + "\n")


def _flushed(code: int) -> int:
    """Write what is still buffered; a reader that has gone must not turn into a traceback at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
