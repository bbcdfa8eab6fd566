"""What to do about a vendor's failure: wait, try again, give the attempt up, stop or park the run.

Pure: clock and jitter are arguments.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from pipeline.memory.pace import credible
from stages.model import ErrorKind, ModelError

MOST_TRIES = 2  # of one call, where a try may have been paid for
PATIENCE = 30.0  # seconds: a longer wait is not waited for where there is a fallback
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Tries:
    """What one call has been through, the failure at hand not included."""

    failed: int = 0  # timeout, protocol, server, network, and whatever else came after generation had begun
    throttled: int = 0  # rate_limit, overloaded

    def after(self, error: ModelError) -> "Tries":
        """Return the count with a failure added; a stream that is throttled in its middle is both."""
        throttled = error.kind in {"rate_limit", "overloaded"}
        failed = error.generated or not throttled
        return replace(self, failed=self.failed + failed, throttled=self.throttled + throttled)


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Try again at once."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The attempt cannot use this model's answer; a retry of the stage may."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No attempt can go on: the run ends `infrastructure`, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    """The run ends `parked` until a time beyond the attempt (UTC seconds), which the vendor or a config key names."""

    resume_at: float
    config_key: str | None = None


@dataclass(frozen=True, slots=True)
class FallBack:
    """The attempt starts again on the stage's next fallback, for this reason."""

    reason: str


Final = Unusable | Stop | Park | FallBack
Reaction = Wait | TryAgain | Final
_OUTAGES: frozenset[ErrorKind] = frozenset({"rate_limit", "overloaded", "server", "network"})


def with_fallback(reaction: Reaction, error: ModelError, *, now: float) -> Reaction:
    """Return what to do where a fallback is left: an outage leads to it instead of a stop or of a long wait.

    `now` is UTC seconds since the epoch. Nothing that the vendor answered leads to it: it is not for quality.
    """
    return elsewhere(reaction, now=now) if error.kind in _OUTAGES else reaction


def elsewhere(reaction: Reaction, *, now: float) -> Reaction:
    """Return what to do in an outage where a fallback is left; `now` is UTC seconds since the epoch."""
    match reaction:
        case Stop(reason):
            return FallBack(reason)
        case Wait(seconds) if seconds > PATIENCE:
            return FallBack(f"the wait would be {seconds:.0f} s")
        case Park(resume_at) if resume_at - now > PATIENCE:
            return FallBack(f"the wait would be {resume_at - now:.0f} s")
        case _:
            return reaction


def react(error: ModelError, *, tries: Tries, now: float, deadline: float, jitter: float = 1.0) -> Reaction:
    """Return what to do. `now` and `deadline` are UTC seconds since the epoch, `jitter` is in 0..1."""
    match error.kind:
        case _ if error.refusal:
            return Unusable()
        case "auth" | "billing" | "bad_request":
            return Stop("trying again cannot help")
        case "too_large":
            return Unusable()
        case "timeout" | "protocol":
            return TryAgain() if tries.failed + 1 < MOST_TRIES else Unusable()
        case "rate_limit" | "overloaded":
            return _throttled(error, tries, now, deadline, jitter)
        case "server" | "network":
            if tries.failed + 1 >= MOST_TRIES:
                return Stop(f"it failed {tries.failed + 1} times")
            return _within(_seconds(error, tries.failed, jitter), now, deadline)
        case _:
            assert_never(error.kind)


def _throttled(error: ModelError, tries: Tries, now: float, deadline: float, jitter: float) -> Reaction:
    """Return what to do: a refusal costs nothing and is waited out, a reply that broke off was charged."""
    named = credible(error.retry_after)
    if named is not None and now + named >= deadline:
        return Park(now + named)
    if error.generated and tries.failed + 1 >= MOST_TRIES:
        return Stop(f"it failed {tries.failed + 1} times")
    return _within(_seconds(error, tries.throttled, jitter), now, deadline)


def _within(seconds: float, now: float, deadline: float) -> Wait | Stop:
    if now + seconds >= deadline:
        return Stop(f"waiting {seconds:.0f} s for it would pass the attempt's timeout")
    return Wait(seconds)


def _seconds(error: ModelError, before: int, jitter: float) -> float:
    """Return the time the vendor named, else 1 s doubling to 60 s, of which up to a half is left to chance."""
    named = credible(error.retry_after)
    if named is not None:
        return max(named, FIRST_WAIT)  # a vendor that names no time at all must not be asked in a tight loop
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(before, 16))) * (0.5 + 0.5 * jitter)
