"""The typed artifacts that travel between stages: ticket, manifest, diagnosis, review, failure."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

StageName = Literal["planner", "coder", "debugger", "reviewer"]
STAGES: tuple[StageName, ...] = ("planner", "coder", "debugger", "reviewer")
Outcome = Literal["passed", "rejected", "red", "unusable", "timed_out", "no_progress", "stopped"]
Owner = Literal["planner", "coder", "reviewer", "ticket", "environment", "flaky"]
FailureKind = Literal[
    "gate",  # a deterministic gate rejected the artifact; `code` is the gate's
    "checks",  # checks are red; `tests` names them
    "unusable",  # the reply could not be used: no tool call, bad arguments, cut, refused, too large
    "timeout",  # the stage's wall clock
    "no_progress",  # no change, or the same call with the same result five times
    "sandbox",  # the sandbox was lost twice at the same call
    "vendor",  # a vendor error that ends the attempt
    "budget",  # the breaker opened
    "clarification",  # the Planner asked a human
    "scope",  # the Coder asked for more scope
    "interrupted",  # cancelled, parked, killed: nobody's failure
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Frozen(BaseModel):
    """Stored values: immutable, and nothing unknown inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TicketScope(Frozen):
    """Paths a ticket allows or denies, as git-style globs; an empty `allow` allows everything."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Ticket(Frozen):
    """What a user wants done."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,60}$")]
    title: str
    body: str
    acceptance: tuple[str, ...] = ()
    scope: TicketScope = TicketScope()
    base: str | None = None
    checks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    deliverables: tuple[str, ...] = ()
    source: str = ""


class SymbolChange(Frozen):
    """A symbol an item touches, dotted from its module (`Class.method`)."""

    name: Text
    operation: Literal["add", "modify", "remove"]


class FileChange(Frozen):
    """A file an item may touch, and how."""

    path: Text
    operation: Literal["create", "modify", "delete"]
    symbols: tuple[SymbolChange, ...] = ()


class WorkItem(Frozen):
    """One unit of the manifest. `tests` are `path` or `path::name`."""

    id: Text
    title: Text
    depends_on: tuple[str, ...] = ()
    files: tuple[FileChange, ...]
    instructions: Text
    acceptance: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


class Manifest(Frozen):
    """The Planner's output: what will be changed, where, and how it will be judged."""

    summary: Text
    work_items: tuple[WorkItem, ...]
    rationale: str = ""


class Clarification(Frozen):
    """A question only a human can answer: a legal outcome of the Planner."""

    question: Text
    options: tuple[str, ...] = ()


class ScopeRequest(Frozen):
    """The Coder's wish to touch more paths than its item lists."""

    paths: Annotated[tuple[Text, ...], Field(min_length=1)]
    reason: Text


class Finish(Frozen):
    """The Coder says its item is done."""

    summary: str


class Diagnosis(Frozen):
    """The Debugger's verdict: who owns the fix, on what evidence, and what to do."""

    owner: Owner
    evidence: tuple[str, ...] = ()
    brief: Text


class Finding(Frozen):
    """One remark of a review."""

    severity: Literal["info", "minor", "major", "critical"]
    path: str | None = None
    line: int | None = None
    rule: str | None = None
    message: Text


class Review(Frozen):
    """The Reviewer's verdict; a request for changes has at least one finding."""

    verdict: Literal["approve", "request_changes"]
    findings: tuple[Finding, ...] = ()


Artifact = Manifest | Clarification | ScopeRequest | Finish | Diagnosis | Review


class Failure(Frozen):
    """Why an attempt ended, structured so that the next one can act on it.

    Two failures are the same when `kind`, `code` and `tests` are.
    """

    kind: FailureKind
    code: str = ""
    message: str
    location: str | None = None
    expected: str | None = None
    actual: str | None = None
    tests: tuple[str, ...] = ()
    excerpt: str = ""

    @property
    def fingerprint(self) -> tuple[str, str, tuple[str, ...]]:
        """What makes two failures identical."""
        return (self.kind, self.code, tuple(sorted(self.tests)))
