"""What preflight is asked, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.environments.choice import Choice
from pipeline.preflight.envelope import Envelope
from pipeline.problem import Position, PreflightError, Problem
from stages.artifacts import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightRequest:
    """What the command line says. `docker` False leaves the engine and the image unasked."""

    tickets: tuple[str, ...] = ()
    repo: Path | None = None
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    base: str | None = None
    cwd: Path
    environ: Mapping[str, str]
    stdin: Callable[[], str]
    config_only: bool = False
    strict: bool = False
    docker: bool = True

    @property
    def start(self) -> Path:
        """Return the folder whose repository is meant."""
        return self.cwd / self.repo.expanduser() if self.repo else self.cwd


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Everything preflight found. What could not be worked out is None; `keys` are never shown or stored.

    `base` is the commit the first ticket starts from, `choice` the environment its run would have.
    """

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Settings | None = None
    tickets: tuple[Ticket, ...] = ()
    repository: Path | None = None
    base: str | None = None
    config_path: Path | None = None
    config_trusted: bool = False
    config_lines: Mapping[str, str] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    envelope: Envelope | None = None
    choice: Choice | None = None

    @property
    def ticket(self) -> Ticket | None:
        """Return the first ticket."""
        return next(iter(self.tickets), None)

    def require(self) -> None:
        """Stop where anything is wrong.

        :raises PreflightError: with every problem.
        """
        if self.problems:
            raise PreflightError(self.problems)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found around the configuration and the tickets."""

    problems: tuple[Problem, ...] = ()
    repository: Path | None = None
    base: str | None = None
    choice: Choice | None = None
    notes: tuple[str, ...] = ()
