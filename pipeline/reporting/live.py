"""The view of a run under way: a table on a terminal, one line an event everywhere else."""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Self, TextIO

from pipeline.config.settings import Limits
from pipeline.memory.journal import Stored
from pipeline.reporting.progress import Progress, advance
from pipeline.reporting.telling import telling
from pipeline.surface import Heard
from stages.artifacts import StageName

QUIET = frozenset({"call.reserved", "sandbox.ended"})  # said again, with more to it, by what follows
# Loaded by name: a run without a terminal does not pay for the terminal library.
TABLE = "pipeline.reporting.live_table"


class LiveView:
    """Shows a run on `stream` while the context lasts. `clock` is monotonic seconds.

    The view owns the stream for that time: whoever else writes to it garbles the table. `heard` is how far each
    stage's reply under way has come; the table looks at it when it draws, so no piece of a reply costs more than that.
    """

    def __init__(self, stream: TextIO, limits: Limits, clock: Callable[[], float]) -> None:
        self.progress = Progress()
        self.heard: dict[StageName, Heard] = {}
        self.limits = limits
        self.clock = clock
        self.stream = stream
        self._terminal = stream.isatty()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._terminal:
            table: Any = importlib.import_module(TABLE)
            shown: AbstractContextManager[object] = table.shown(self)
            self._stack.enter_context(shown)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def hear(self) -> Callable[[StageName, Heard], None] | None:
        """Return who is told of each piece of a reply; None without a terminal, where nothing would be drawn."""
        return self.heard.__setitem__ if self._terminal else None

    def on_event(self, stored: Stored) -> None:
        """Take notice of an event: the signature `Journal.listen` wants."""
        stage: StageName | None = getattr(stored.event, "stage", None)
        if stage is not None:
            self.heard.pop(stage, None)
        self.progress = advance(self.progress, stored.event, self.clock())
        if not self._terminal and stored.event.kind not in QUIET:
            self.stream.write(f"{stored.at:%H:%M:%S} {telling(stored.event)}\n")
            self.stream.flush()
