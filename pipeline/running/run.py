"""A run in progress: its facts, its seams and its state, bundled for the modules that act on it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.git.command import Git
from pipeline.git.repository import Repository
from pipeline.git.tree import TreeStore
from pipeline.memory.journal import Journal, Stored
from pipeline.memory.ledger import Ledger
from pipeline.running.changes import dump, load
from pipeline.state import RunState, apply
from pipeline.surface import Binding, Heard
from sandbox.base import Backend, BaseTree, Environment, Snapshot
from stages.artifacts import StageName, Ticket
from stages.model import Model


class Chronicle:
    """The state of the run so far: folds every event the journal stores."""

    def __init__(self, journal: Journal) -> None:
        self.state = RunState()
        for stored in journal.events():
            self._take(stored)
        journal.listen(self._take)

    def _take(self, stored: Stored) -> None:
        self.state = apply(self.state, stored.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What a run reaches the world through; tests hand in their own.

    `hear` is told how far a stage's reply under way has come; None where nobody watches.
    """

    backend: Backend
    connect: Callable[[str, Binding], Awaitable[Model]]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    say: Callable[[str], None]
    hear: Callable[[StageName, Heard], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One ticket on its way.

    `wall_clock` is how many seconds the run has left, `state_dir` where runs are kept; `keys` are never stored.
    With `keep_sandbox` each Coder attempt's whole work tree is kept beside the run.
    """

    run_id: str
    ticket: Ticket
    settings: Settings
    journal: Journal
    ledger: Ledger
    chronicle: Chronicle
    repository: Repository
    git: Git
    tree: TreeStore
    base: BaseTree
    environment: Environment
    seams: Seams
    wall_clock: float
    state_dir: Path
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    keep_sandbox: bool = False

    @property
    def state(self) -> RunState:
        """Return the state as of the last event."""
        return self.chronicle.state

    def keep(self, snapshot: Snapshot) -> str:
        """Store a tree and return its digest."""
        return dump(snapshot, self.journal.put)

    def recall(self, digest: str | None) -> Snapshot:
        """Return a stored tree; None is the untouched base."""
        return load(digest, self.journal.get) if digest else Snapshot()

    @property
    def accepted(self) -> Snapshot:
        """Return base plus every accepted item."""
        return self.recall(self.state.accepted_change)
