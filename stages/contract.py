"""What every stage is given and must give back: one module, one `run(context) -> result`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.base import Sandbox
from stages.artifacts import (
    Artifact,
    Failure,
    Finding,
    Manifest,
    Outcome,
    Owner,
    Ticket,
    WorkItem,
)
from stages.model import Model


@dataclass(frozen=True, slots=True)
class Feedback:
    """What earlier attempts taught, as data for the next prompt; never anybody's reasoning."""

    failure: Failure | None = None
    previous_diff: str = ""
    brief: str = ""
    guidance: Sequence[str] = ()
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """A check's result as a stage may see it."""

    name: str
    outcome: str
    green: bool
    summary: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The Debugger's input about the exhausted stage, beyond ticket and manifest."""

    stage: str
    failures: Sequence[Failure]
    test_files: Mapping[str, str]
    last_output: str
    last_diff: str
    earlier_diffs: Sequence[str]


class Observer(Protocol):
    """Told of every tool call, so that the journal knows it."""

    async def called(self, tool: str, arguments: Mapping[str, Any], result: str, *, seconds: float) -> None:
        """Record a call that was carried out, with the result the model saw."""
        ...

    async def refused(self, tool: str, arguments: Mapping[str, Any], code: str, reason: str) -> None:
        """Record a call that was refused and did nothing."""
        ...

    async def output(self, content: bytes) -> None:
        """Keep a command's output in the run archive."""
        ...


class Remaining(Protocol):
    """Seconds left of the attempt."""

    def __call__(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """Everything one attempt of a stage may see and use.

    `project_folder` is where commands run and outside which nothing may change, empty for the root.
    `system` is the stage's prompt with the user's instructions. `remaining` says how many seconds the attempt
    has left. `owners` are the Debugger's routes on offer; `may_request_scope` is False when the Planner has no
    attempt left; `progress_required` is False for a later item, which gates and checks judge even unchanged.
    """

    ticket: Ticket
    model: Model
    sandbox: Sandbox
    observer: Observer
    system: str
    max_output_tokens: int
    output_tokens_ceiling: int
    remaining: Remaining
    repository_map: str = ""
    conventions: str = ""
    manifest: Manifest | None = None
    accepted: Sequence[str] = ()
    item: WorkItem | None = None
    feedback: Feedback = field(default_factory=Feedback)
    diff: str = ""
    checks: Sequence[CheckSummary] = ()
    evidence: Evidence | None = None
    owners: Sequence[Owner] = ()
    may_request_scope: bool = True
    progress_required: bool = True
    project_folder: str = ""


@dataclass(frozen=True, slots=True)
class StageResult:
    """How an attempt ended, as far as the stage can say. `passed` and `stopped` carry the artifact."""

    outcome: Outcome
    artifact: Artifact | None = None
    failure: Failure | None = None


class Stage(Protocol):
    """A module of this folder."""

    async def run(self, context: StageContext) -> StageResult:
        """Work until the terminal tool is called, or say why it was not."""
        ...
