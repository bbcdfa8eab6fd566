"""What flow can ask for next: a closed union of steps."""

from dataclasses import dataclass

from pipeline.errors import Status
from pipeline.events import Cause
from stages.artifacts import Failure, Owner, StageName


@dataclass(frozen=True, slots=True)
class RunBaseline:
    """Run these checks on the untouched base."""

    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunAttempt:
    """Make one attempt of a stage. `owners` are the routes a Debugger has on offer, `case` whom it attaches to.

    `fallback` k is the rung's k-th fallback, on which an attempt that an outage cut short starts again with the
    `seconds` it had left; 0 is the rung itself.
    """

    stage: StageName
    item: str | None
    number: int
    rung: int
    cause: Cause
    owners: tuple[Owner, ...] = ()
    case: StageName | None = None
    fallback: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunRecheck:
    """Run these checks once more on the item's last tree, without an attempt."""

    item: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptItem:
    """The item is green: its tree is what the next one starts from."""

    item: str


@dataclass(frozen=True, slots=True)
class ExhaustStage:
    """The seat is over: its attempts are used up, or a stopping rule forfeits the rest."""

    stage: StageName
    item: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class EndRun:
    """The run is over. `bound` names the limit that ended it and `config_key` the line that set it."""

    status: Status
    reason: str
    stage: StageName | None = None
    item: str | None = None
    bound: str | None = None
    config_key: str | None = None
    failure: Failure | None = None


Step = RunBaseline | RunAttempt | RunRecheck | AcceptItem | ExhaustStage | EndRun
