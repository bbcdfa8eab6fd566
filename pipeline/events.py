"""Everything that can happen in a run, one frozen type per kind: the public stream of `--events` and `show`.

Fields are added, never renamed. Every stored event also has `run_id`, `seq` (from 1) and `at` (UTC); those
are columns of the table, see `pipeline/memory/journal.py`. Blob fields hold the SHA-256 of content in table `blob`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from pipeline.errors import Status
from pipeline.judging.flags import Flag
from stages.artifacts import Diagnosis, Failure, Frozen, Manifest, Outcome, Owner, Review, StageName

Cause = Literal["first", "retry", "scope", "route", "replan", "review", "answer", "resume"]
CheckPhase = Literal["baseline", "focus", "final", "recheck"]
CheckOutcome = Literal["passed", "failed", "no_tests", "collection_error", "timed_out", "infrastructure"]


class RunStarted(Frozen):
    """Blobs `ticket`, `config`, `receipt` are JSON; `base` is a commit id; `overrides` the `--set` values.

    `image` is the environment chosen, `image_source` who chose it, `image_reason` why, `image_notes` what of the
    repository's wishes was left out.
    Blob `config_lines` maps a key path of the config to where it stands.
    """

    kind: Literal["run.started"] = "run.started"
    ticket_id: str
    ticket: str
    repository: str
    base: str
    config: str
    config_hash: str
    config_path: str | None = None
    config_trusted: bool = False
    config_lines: str | None = None
    overrides: tuple[str, ...] = ()
    prompts: dict[str, str] = {}
    image: str = ""
    image_source: str = ""
    image_reason: str = ""
    image_notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    receipt: str = ""


class RunResumed(Frozen):
    """From here on `config` is in force, read from `config_path`. `guidance` is a human's word."""

    kind: Literal["run.resumed"] = "run.resumed"
    config: str
    config_hash: str
    config_path: str | None = None
    config_trusted: bool = False
    config_lines: str | None = None
    overrides: tuple[str, ...] = ()
    guidance: str | None = None


class RunEnded(Frozen):
    """The first of several endings counts. `bound` names the limit, `config_key` what set it, `config_line` where.

    Blob `change` is the tree left (see `pipeline/running/changes.py`), `patch` the same as a unified diff from the
    base, `receipt` the comparison of the user's repository before and after, as JSON. `flags` are the changes in
    that tree that decide what runs elsewhere.
    """

    kind: Literal["run.ended"] = "run.ended"
    status: Status
    reason: str
    stage: StageName | None = None
    item: str | None = None
    bound: str | None = None
    config_key: str | None = None
    config_line: str | None = None
    failure: Failure | None = None
    branch: str | None = None
    commit: str | None = None
    change: str | None = None
    patch: str | None = None
    receipt: str | None = None
    resume_at: float | None = None
    seconds: float = 0.0
    flags: tuple[Flag, ...] = ()


class CheckFinished(Frozen):
    """One check of the runner's. `green` is the verdict against the baseline; `tests` is a blob with each test.

    `binds` is False for a check that was red at base already and has no report. `red` names what is red. `conditions`
    digests the command and the environment: a baseline holds as long as they are the same.
    """

    kind: Literal["check.finished"] = "check.finished"
    phase: CheckPhase
    name: str
    outcome: CheckOutcome
    green: bool
    binds: bool = True
    item: str | None = None
    attempt: int | None = None
    exit_code: int | None = None
    passed: int = 0
    failed: int = 0
    red: tuple[str, ...] = ()
    reason: str = ""
    tests: str | None = None
    output: str | None = None
    seconds: float = 0.0
    conditions: str = ""


class StageStarted(Frozen):
    """A stage (for an item) begins its first attempt."""

    kind: Literal["stage.started"] = "stage.started"
    stage: StageName
    item: str | None = None


class StageEnded(Frozen):
    """A stage (for an item) is over; `exhausted` forfeits what attempts it had left."""

    kind: Literal["stage.ended"] = "stage.ended"
    stage: StageName
    item: str | None = None
    outcome: Literal["passed", "exhausted"]
    reason: str = ""


class AttemptStarted(Frozen):
    """`number` counts starts, `rung` is 1 + retries consumed, `cause` says why this attempt is made."""

    kind: Literal["attempt.started"] = "attempt.started"
    stage: StageName
    item: str | None = None
    number: int
    rung: int
    vendor: str
    model: str
    effort: str | None = None
    timeout: float
    cause: Cause


class AttemptEnded(Frozen):
    """`outcome: passed` with the artifact's summary in `items`, `owner` or `verdict`.

    `change` is the blob of the tree the attempt left (see `pipeline/running/changes.py`); `reusable` says it passed
    every gate and was only red. `evidence` says that a Debugger would have something to look at. `kept` is where the
    archive of the whole work tree is (with `--keep-sandbox`), or why there is none.
    """

    kind: Literal["attempt.ended"] = "attempt.ended"
    stage: StageName
    item: str | None = None
    number: int
    rung: int
    vendor: str
    model: str
    effort: str | None = None
    cause: Cause
    outcome: Outcome
    failure: Failure | None = None
    items: tuple[str, ...] | None = None
    owner: Owner | None = None
    verdict: Literal["approve", "request_changes"] | None = None
    manifest: Manifest | None = None
    diagnosis: Diagnosis | None = None
    review: Review | None = None
    change: str | None = None
    reusable: bool = False
    evidence: bool = False
    seconds: float = 0.0
    kept: str | None = None


class CallReserved(Frozen):
    """`tokens` is the worst case held; `cost` the same in USD as a decimal string.

    `counted` says that the vendor was asked how long the request is, because its bound left no room.
    """

    kind: Literal["call.reserved"] = "call.reserved"
    key: str
    stage: StageName
    item: str | None = None
    attempt: int
    turn: int
    try_number: int
    vendor: str
    model: str
    tokens: int
    input_bound: int
    max_output_tokens: int
    shrunken: bool = False
    counted: bool = False
    cost: str | None = None


class CallSettled(Frozen):
    """What a call came to. `tokens` is what the breaker charged; `error` is a vendor failure that was charged.

    `adapted` says what was put otherwise for a server that does not take all of the protocol.
    """

    kind: Literal["call.settled"] = "call.settled"
    key: str
    stage: StageName
    item: str | None = None
    attempt: int
    turn: int
    vendor: str
    model: str
    tokens: int
    usage: dict[str, Any]
    cost: str | None = None
    stop: str | None = None
    error: str | None = None
    overrun: bool = False
    seconds: float = 0.0
    adapted: tuple[str, ...] = ()


class CallRefused(Frozen):
    """The vendor's no before generation; its reservation is released."""

    kind: Literal["call.refused"] = "call.refused"
    key: str
    stage: StageName
    item: str | None = None
    attempt: int
    vendor: str
    model: str
    tokens: int
    error: str
    message: str


class CallWaiting(Frozen):
    """A call waits, for a vendor (`retry`) or for the breaker (`budget`); `seconds` is how long at most."""

    kind: Literal["call.waiting"] = "call.waiting"
    key: str
    stage: StageName
    reason: Literal["retry", "budget"]
    error: str | None = None
    seconds: float


class ToolCalled(Frozen):
    """A tool call that was carried out; `arguments` and `result` are blobs."""

    kind: Literal["tool.called"] = "tool.called"
    stage: StageName
    item: str | None = None
    attempt: int
    tool: str
    summary: str
    arguments: str
    result: str
    output: str | None = None
    seconds: float = 0.0


class GateRefused(Frozen):
    """A tool call that was refused and did nothing; the attempt goes on."""

    kind: Literal["gate.refused"] = "gate.refused"
    stage: StageName
    item: str | None = None
    attempt: int
    tool: str
    code: str
    message: str


class GateRejected(Frozen):
    """A gate rejected an attempt's artifact; the attempt is over."""

    kind: Literal["gate.rejected"] = "gate.rejected"
    stage: StageName
    item: str | None = None
    attempt: int
    code: str
    message: str


class ItemAccepted(Frozen):
    """An item is green; `change` is the accepted tree, base plus every accepted item, and `flags` what it flags."""

    kind: Literal["item.accepted"] = "item.accepted"
    item: str
    change: str
    flags: tuple[Flag, ...] = ()


class RouteChosen(Frozen):
    """The Debugger's diagnosis takes effect."""

    kind: Literal["route.chosen"] = "route.chosen"
    stage: StageName
    item: str | None = None
    owner: Owner


class BreakerWarned(Frozen):
    """80 % of a scope is spent or held."""

    kind: Literal["breaker.warned"] = "breaker.warned"
    scope: str
    spent: int
    held: int
    cap: int


class BreakerOpened(Frozen):
    """The breaker's own no: the run starts no new call."""

    kind: Literal["breaker.opened"] = "breaker.opened"
    scope: str
    reason: Literal["no_room", "overrun", "cut_at_shrunken_limit"]
    spent: int
    held: int
    cap: int
    needed: int


class SandboxStarted(Frozen):
    """A container is ready; `purpose` is what for, `work_tree` where its files live, and why there."""

    kind: Literal["sandbox.started"] = "sandbox.started"
    container: str
    image: str
    purpose: str
    seconds: float = 0.0
    work_tree: Literal["memory", "disk"] | None = None
    work_tree_reason: str = ""


class SandboxLost(Frozen):
    """A container is gone before its time."""

    kind: Literal["sandbox.lost"] = "sandbox.lost"
    container: str
    purpose: str
    reason: str


class Passage(Frozen):
    """Connections a sandbox made to one host that had one fate; `refused` is the reason, None when let through."""

    host: str
    port: int
    refused: str | None = None
    connections: int
    sent: int = 0
    received: int = 0


class SandboxEnded(Frozen):
    """A container was removed. `egress` is what its commands reached or asked for, by host."""

    kind: Literal["sandbox.ended"] = "sandbox.ended"
    container: str
    purpose: str
    egress: tuple[Passage, ...] = ()


class HumanAsked(Frozen):
    """Somebody has to decide; `question` says what."""

    kind: Literal["human.asked"] = "human.asked"
    stage: StageName
    item: str | None = None
    question: str
    options: tuple[str, ...] = ()


class HumanAnswered(Frozen):
    """A human's word to the stage that ended: a fact for its next attempt."""

    kind: Literal["human.answered"] = "human.answered"
    text: str


AnyEvent = (
    RunStarted
    | RunResumed
    | RunEnded
    | CheckFinished
    | StageStarted
    | StageEnded
    | AttemptStarted
    | AttemptEnded
    | CallReserved
    | CallSettled
    | CallRefused
    | CallWaiting
    | ToolCalled
    | GateRefused
    | GateRejected
    | ItemAccepted
    | RouteChosen
    | BreakerWarned
    | BreakerOpened
    | SandboxStarted
    | SandboxLost
    | SandboxEnded
    | HumanAsked
    | HumanAnswered
)
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="kind")])


def parse(fields: dict[str, Any]) -> AnyEvent:
    """Return the typed event of stored fields (`kind` included)."""
    return _ADAPTER.validate_python(fields)


def dump(event: AnyEvent) -> dict[str, Any]:
    """Return an event's fields as JSON values, `kind` included."""
    return event.model_dump(mode="json")
