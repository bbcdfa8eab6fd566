"""One line of plain words for every kind of event."""

from functools import singledispatch

from pipeline.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    BreakerOpened,
    BreakerWarned,
    CallRefused,
    CallReserved,
    CallSettled,
    CallWaiting,
    CheckFinished,
    GateRefused,
    GateRejected,
    HumanAnswered,
    HumanAsked,
    ItemAccepted,
    RouteChosen,
    RunEnded,
    RunResumed,
    RunStarted,
    SandboxEnded,
    SandboxLost,
    SandboxStarted,
    StageEnded,
    StageStarted,
    ToolCalled,
)
from pipeline.reporting.wording import duration, one_line

SHORT = 12  # characters of a digest, commit or container id that are shown


def telling(event: AnyEvent) -> str:
    """Return what happened as one printable line, without time and run."""
    return one_line(_words(event))


@singledispatch
def _words(event: AnyEvent) -> str:
    return event.kind


def _seat(stage: str, item: str | None) -> str:
    return f"{stage} ({item})" if item else stage


def _priced(tokens: int, cost: str | None) -> str:
    return f"{tokens:,} tokens" + (f", ${cost}" if cost is not None else "")


@_words.register
def _(event: RunStarted) -> str:
    return f"run of ticket {event.ticket_id} on {event.base[:SHORT]}"


@_words.register
def _(event: RunResumed) -> str:
    changed = f" with {', '.join(event.overrides)}" if event.overrides else ""
    return f"resumed{changed}" + (f": {event.guidance}" if event.guidance else "")


@_words.register
def _(event: RunEnded) -> str:
    status = event.status.replace("_", " ")
    return f"{status}: branch {event.branch}" if event.branch else f"{status}: {event.reason}"


@_words.register
def _(event: CheckFinished) -> str:
    verdict = "green" if event.green else f"red, {len(event.red)} test(s)" if event.red else "red"
    counts = f"{event.passed} passed, {event.failed} failed"
    return f"{event.phase} check {event.name}: {event.outcome.replace('_', ' ')} ({counts}), {verdict}"


@_words.register
def _(event: StageStarted) -> str:
    return f"{_seat(event.stage, event.item)} begins"


@_words.register
def _(event: StageEnded) -> str:
    reason = f": {event.reason}" if event.reason else ""
    return f"{_seat(event.stage, event.item)} {event.outcome}{reason}"


@_words.register
def _(event: AttemptStarted) -> str:
    effort = f", effort {event.effort}" if event.effort else ""
    place = f"{_seat(event.stage, event.item)} attempt {event.number} on rung {event.rung}"
    return f"{place}: {event.vendor}/{event.model}{effort}, at most {duration(event.timeout)}"


@_words.register
def _(event: AttemptEnded) -> str:
    why = f": {event.failure.message}" if event.failure else ""
    what = event.verdict or event.owner or event.outcome.replace("_", " ")
    return f"{_seat(event.stage, event.item)} attempt {event.number} {what} in {duration(event.seconds)}{why}"


@_words.register
def _(event: CallReserved) -> str:
    again = f", try {event.try_number}," if event.try_number > 1 else ""
    return f"{event.stage} call {event.turn}{again} reserves {_priced(event.tokens, event.cost)}"


@_words.register
def _(event: CallSettled) -> str:
    failed = f", failed: {event.error}" if event.error else ""
    more = ", more than was reserved" if event.overrun else ""
    adapted = f"; {'; '.join(event.adapted)}" if event.adapted else ""
    return f"{event.stage} call {event.turn}: {_priced(event.tokens, event.cost)}{failed}{more}{adapted}"


@_words.register
def _(event: CallRefused) -> str:
    return f"{event.vendor} refused a call of the {event.stage} ({event.error}): {event.message}"


@_words.register
def _(event: CallWaiting) -> str:
    for_what = "room under the token cap" if event.reason == "budget" else event.error or "the vendor"
    return f"{event.stage} waits up to {duration(event.seconds)} for {for_what}"


@_words.register
def _(event: ToolCalled) -> str:
    return f"{event.stage} {event.tool}: {event.summary}"


@_words.register
def _(event: GateRefused) -> str:
    return f"{event.stage} {event.tool} refused, {event.code}: {event.message}"


@_words.register
def _(event: GateRejected) -> str:
    return f"{_seat(event.stage, event.item)} rejected, {event.code}: {event.message}"


@_words.register
def _(event: ItemAccepted) -> str:
    flagged = f"; to look at: {', '.join(flag.path for flag in event.flags)}" if event.flags else ""
    return f"item {event.item} accepted{flagged}"


@_words.register
def _(event: RouteChosen) -> str:
    return f"the fix of {_seat(event.stage, event.item)} belongs to {event.owner}"


@_words.register
def _(event: BreakerWarned) -> str:
    return f"80 % of {event.scope}: {event.spent:,} spent and {event.held:,} held of {event.cap:,}"


@_words.register
def _(event: BreakerOpened) -> str:
    return (
        f"breaker open ({event.reason.replace('_', ' ')}), {event.scope}: {event.spent:,} spent and "
        f"{event.held:,} held of {event.cap:,}, {event.needed:,} needed"
    )


@_words.register
def _(event: SandboxStarted) -> str:
    place = f", work tree on disk: {event.work_tree_reason}" if event.work_tree == "disk" else ""
    return f"sandbox {event.container[:SHORT]} ready for {event.purpose} in {duration(event.seconds)}{place}"


@_words.register
def _(event: SandboxLost) -> str:
    return f"sandbox {event.container[:SHORT]} lost: {event.reason}"


@_words.register
def _(event: SandboxEnded) -> str:
    reached = sorted({f"{row.host}:{row.port}" for row in event.egress if row.refused is None})
    refused = sorted({f"{row.host}:{row.port}" for row in event.egress if row.refused is not None})
    used = [f"; {word} {', '.join(hosts)}" for word, hosts in (("reached", reached), ("refused", refused)) if hosts]
    return f"sandbox {event.container[:SHORT]} removed{''.join(used)}"


@_words.register
def _(event: HumanAsked) -> str:
    options = f" ({' / '.join(event.options)})" if event.options else ""
    return f"{event.stage} asks: {event.question}{options}"


@_words.register
def _(event: HumanAnswered) -> str:
    return f"a human says: {event.text}"
