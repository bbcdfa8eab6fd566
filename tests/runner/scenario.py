"""A whole run in this process: real git, real stages, real database; a folder for a container, brains for models."""

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from pipeline.config.settings import CheckSettings, Limits, Rung, Settings, StageSettings
from pipeline.errors import Status
from pipeline.events import AnyEvent, AttemptEnded, RunEnded
from pipeline.git.repository import open_repository
from pipeline.memory.database import open_store
from pipeline.memory.journal import Journal, Stored
from pipeline.running.opening import Place, Resumption, Start, new_run, resumed_run
from pipeline.running.run import Run, Seams
from pipeline.running.runner import drive
from pipeline.surface import Heard
from sandbox.base import BaseTree, Environment, Sandbox
from stages.artifacts import StageName, Ticket
from tests.audit import Audit
from tests.e2e import project
from tests.fakes.brain_model import Cast
from tests.fakes.directory_sandbox import directory_sandbox
from tests.loopback import Brain

QUICK = f"{sys.executable} -S -B {Path(__file__).with_name('quick_tests.py')}"


class FolderBackend:
    """Opens a folder for each sandbox; `breaks` may wrap it to misbehave."""

    def __init__(self) -> None:
        self.opened = 0

    @asynccontextmanager
    async def open(self, environment: Environment, base: BaseTree) -> AsyncIterator[Sandbox]:
        del environment
        self.opened += 1
        async with directory_sandbox(base) as sandbox:
            yield sandbox


def rung(model: str, **more: Any) -> Rung:
    values: dict[str, Any] = {"vendor": "scripted", "model": model, "timeout": 60.0, "max_output_tokens": 4000}
    return Rung(**(values | more))


def stage(name: Any, *models: str, retries: int = 1, **more: Any) -> StageSettings:
    return StageSettings(name=name, rungs=tuple(rung(model) for model in models), retry_budget=retries, **more)


def settings(**changes: Any) -> Settings:
    """The settings of most scenarios: one model per stage, named after it, and `strong` as the coder's second rung."""
    values: dict[str, Any] = {
        "limits": Limits(tokens=1_000_000, wall_clock=300.0),
        "planner": stage("planner", "planner"),
        "coder": stage("coder", "coder", "strong"),
        "debugger": None,
        "reviewer": None,
        "checks": (
            CheckSettings(
                name="tests",
                run=QUICK,
                focus=f"{QUICK} {{tests}}",
                report="junit",
                timeout=60.0,
            ),
        ),
    }
    return Settings(**(values | changes))


DEBUGGER = stage(
    "debugger", "debugger", attaches_to=("planner", "coder"), can_route_to=("planner", "coder", "reviewer")
)
REVIEWER = stage("reviewer", "reviewer")


@dataclass
class Scenario:
    """One repository and its runs. `brains` maps model to what it says."""

    folder: Path
    brains: Mapping[str, Brain]
    settings: Settings
    backend: Any = field(default_factory=FolderBackend)
    events: list[AnyEvent] = field(default_factory=list)
    run_id: str = ""
    sleep: Any = anyio.sleep
    clock: Any = time.time
    keys: dict[str, str] = field(default_factory=dict)
    heard: Callable[[AnyEvent], None] = lambda _: None
    hear: Callable[[StageName, Heard], None] | None = None
    drives: Callable[[Run], Awaitable[RunEnded]] = drive

    def __post_init__(self) -> None:
        self.repository = self.folder / "shop"
        if not self.repository.exists():
            project.make_repository(self.repository)
        self.cast = Cast(self.brains)
        self.store = open_store(f"sqlite:///{self.folder / 'state' / 'state.sqlite'}")

    def _place(self) -> Place:
        return Place(self.store, self.folder / "state", self._listen)

    def _listen(self, stored: Stored) -> None:
        self.events.append(stored.event)
        self.heard(stored.event)

    def _seams(self) -> Seams:
        return Seams(
            backend=self.backend,
            connect=self.cast.connect,
            clock=self.clock,
            sleep=self.sleep,
            say=lambda _: None,
            hear=self.hear,
        )

    def run(self) -> RunEnded:
        """Run the ticket."""
        repository = open_repository(self.repository)
        assert repository.head
        ticket = Ticket(id="discount", title="The discount has no effect", body="total ignores it.")
        start = Start(
            settings=self.settings, ticket=ticket, repository=repository, base=repository.head, keys=self.keys
        )
        with new_run(self._place(), start, self._seams()) as run:
            self.run_id = run.run_id
            return self._drive(run)

    def resume(self, *, guidance: str | None = None, **changes: Any) -> RunEnded:
        """Go on with the run, with other settings or a human's word."""
        self.settings = self.settings.model_copy(update=changes)
        self.cast.brains = dict(self.brains)
        resumption = Resumption(settings=self.settings, guidance=guidance, keys=self.keys)
        with resumed_run(self._place(), self.run_id, resumption, self._seams()) as run:
            return self._drive(run)

    def _drive(self, run: Run) -> RunEnded:
        return anyio.run(self.drives, run)

    @property
    def outcomes(self) -> list[str]:
        """Every attempt as `stage item model outcome`."""
        return [
            " ".join(filter(None, (event.stage, event.item, event.model, event.outcome)))
            for event in self.events
            if isinstance(event, AttemptEnded)
        ]

    def ended(self) -> Status:
        """Return how the run ended last."""
        return next(event.status for event in reversed(self.events) if isinstance(event, RunEnded))


def with_limits(base: Settings, **limits: Any) -> Settings:
    return base.model_copy(update={"limits": base.limits.model_copy(update=limits)})


def on_turn(brain: Brain, turn: int, instead: Any) -> Brain:
    """Return a brain that says something else at one of its turns."""
    return lambda conversation: instead if conversation.turn == turn else brain(conversation)


def audited(scenario: Scenario) -> None:
    """Hold the run's stored events against the contract."""
    journal = Journal(scenario.store, scenario.run_id, clock=time.time, redact=str)
    Audit().hear([stored.fields() for stored in journal.events()])
