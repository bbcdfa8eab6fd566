"""Opens the database a command line names and finds the run it means."""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipeline.memory.database import Store, open_store
from pipeline.memory.journal import resolve_run
from pipeline.options import state_location


@contextmanager
def opened(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[Store]:
    """Yield the database while the context lasts."""
    store = open_store(state_location(arguments, environ))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def found(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[tuple[Store, str]]:
    """Yield the database and the id of the run that `arguments.run_id` means.

    :raises UsageError: it means no run, or several.
    """
    with opened(arguments, environ) as store:
        yield store, resolve_run(store, arguments.run_id)


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Add RUN: an id, the beginning of one, or `last`."""
    parser.add_argument("run_id", metavar="RUN", help="a run's id, the beginning of one, or `last`")


def state_words(arguments: argparse.Namespace) -> list[str]:
    """Return the words that name the same database on another command line, none for the default one."""
    folder = arguments.state_dir.absolute() if arguments.state_dir else None
    words = [("--state-dir", folder), ("--db", arguments.db)]
    return [word for option, value in words if value for word in (option, str(value))]
