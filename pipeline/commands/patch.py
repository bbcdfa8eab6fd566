"""Print the patch of a run, the partial one of a run that was not solved."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from pipeline.memory.lookup import add_run_argument, found
from pipeline.options import add_state_options
from pipeline.reporting.archive import read_run, reading
from pipeline.reporting.unfinished import unfinished_patch


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_run_argument(parser)
    add_state_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the patch to standard output as `git apply` takes it."""
    with found(arguments, os.environ) as (store, run_id), tempfile.TemporaryDirectory() as scratch:
        archived = read_run(store, run_id)
        patch = archived.patch
        if patch is None:
            patch = unfinished_patch(archived.account, reading(store, run_id).get, Path(scratch))
    if not patch:
        sys.stderr.write(f"run {run_id} has changed nothing so far\n")
    sys.stdout.buffer.write(patch)
    return 0
