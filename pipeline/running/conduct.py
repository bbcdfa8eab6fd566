"""Carry a run from its opening to its ending in this process: signals, live view and the printed result."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from pipeline.config.settings import Limits
from pipeline.errors import EXIT_CODES
from pipeline.events import RunEnded
from pipeline.loader import connect
from pipeline.memory.database import Store
from pipeline.memory.journal import Stored
from pipeline.reporting.archive import read_run
from pipeline.reporting.live import LiveView
from pipeline.reporting.result import result
from pipeline.reporting.summary import summary
from pipeline.running.run import Run, Seams
from pipeline.running.runner import drive
from sandbox.registry import load_backend


def real_seams(view: LiveView) -> Seams:
    """Return the seams of a real run: Docker, the vendors, the system's clock, and who watches replies arrive."""
    return Seams(backend=load_backend(), connect=connect, clock=time.time, sleep=anyio.sleep, say=_say, hear=view.hear)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def conduct(run: Run) -> RunEnded:
    """Drive a run to its end. The first Ctrl-C (or SIGTERM) ends it cleanly, a second one at once."""
    anyio.run(_driven, run)
    ended = run.state.ended
    assert ended is not None, "drive records an ending whatever happens"
    return ended


async def _driven(run: Run) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_on_signal, group.cancel_scope)
        await drive(run)
        group.cancel_scope.cancel()


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            break
    _say("stopping: everything is kept; once more stops at once")
    scope.cancel()


@dataclass(frozen=True, slots=True)
class Output:
    """How a command tells of a run: a document, a stream of events, or a table for people."""

    as_json: bool
    as_events: bool

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Output":
        """Return what the command line asks for."""
        return cls(as_json=arguments.json, as_events=arguments.events)

    def listener(self, view: LiveView) -> Callable[[Stored], None]:
        """Return who is told of each event."""
        return EventPrinter() if self.as_events else view.on_event


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add `--json` and `--events`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="print one JSON document at the end")
    group.add_argument("--events", action="store_true", help="print one JSON event a line as they happen")


def add_keep_option(parser: argparse.ArgumentParser) -> None:
    """Add `--keep-sandbox`."""
    words = "keep each Coder attempt's whole work tree, ignored files too, for `sandbox shell`"
    parser.add_argument("--keep-sandbox", action="store_true", help=words)


def live_view(limits: Limits) -> LiveView:
    """Return the view on standard error."""
    return LiveView(sys.stderr, limits, time.monotonic)


class EventPrinter:
    """Prints one event a line. A reader that went away ends the printing, never the run."""

    def __init__(self) -> None:
        self._gone = False

    def __call__(self, stored: Stored) -> None:
        """Print an event unless nobody reads any more."""
        if self._gone:
            return
        try:
            sys.stdout.write(json.dumps(stored.fields(), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._gone = True


def tell(store: Store, run_id: str, output: Output, folder: Path, words: Sequence[str]) -> int:
    """Print how a run ended and return its exit code. `words` name the database on a command line."""
    document: dict[str, Any] = result(store, run_id, folder=folder, options=words)
    if output.as_json:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    elif not output.as_events:
        sys.stdout.write(summary(read_run(store, run_id), document))
    if document["resume"] and (output.as_json or output.as_events):
        _say(f"go on: {document['resume']}")
    return EXIT_CODES[document["status"]]
