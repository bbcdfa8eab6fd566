"""The rules of pacing: when a vendor's next call may begin, and when a vendor that keeps failing is set aside.

Pure: no clock, no database, no models. Times are UTC seconds since the epoch. Rates follow the generic cell rate
algorithm: one time per vendor and unit, from which on the next call is on time.
"""

from dataclasses import dataclass, replace
from typing import Literal

from stages.model import ErrorKind

Unit = Literal["requests", "tokens"]
Why = Literal["max_concurrency", "requests_per_minute", "tokens_per_minute", "named", "set_aside", "probed"]
MINUTE = 60.0
# Failures in a row, of all runs together, after which a vendor is set aside; more than one call makes by itself.
MOST_FAILURES = 5
FIRST_REST = 30.0
LONGEST_REST = 900.0
LONGEST_WORD = 366 * 86_400.0  # seconds: a vendor that names a time beyond a year names none
FAILURES: frozenset[ErrorKind] = frozenset({"server", "network", "overloaded", "timeout"})


@dataclass(frozen=True, slots=True)
class Lane:
    """The way to one model of a vendor, with the vendor's limits; None is no limit.

    `address` tells apart servers that two configurations call by the same name.
    """

    vendor: str
    model: str
    address: str | None = None
    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def name(self) -> str:
        """The vendor as it is paced: for all runs, whatever their configurations are called."""
        return f"{self.vendor} {self.address}" if self.address else self.vendor


@dataclass(frozen=True, slots=True)
class Health:
    """How a vendor has been doing: failures in a row, and until when it is set aside.

    `probing` is the call that finds out whether it is back; it counts until `probe_ends`.
    """

    failures: int = 0
    until: float = 0.0
    kind: ErrorKind | None = None
    probing: str | None = None
    probe_ends: float = 0.0


@dataclass(frozen=True, slots=True)
class Named:
    """Until when a model's vendor said it would not answer, with which error, and when it said so."""

    until: float = 0.0
    kind: ErrorKind = "rate_limit"
    said: float = 0.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """A lane as it stands: calls in flight, from when on the next is on time, and how the vendor is doing."""

    in_flight: int = 0
    requests_at: float = 0.0
    tokens_at: float = 0.0
    named: Named = Named()
    health: Health = Health()


@dataclass(frozen=True, slots=True)
class Clear:
    """The call may begin; with `probes` it finds out whether a vendor that was set aside is back."""

    probes: bool = False


@dataclass(frozen=True, slots=True)
class NotYet:
    """The call may not begin before `until`, if then; `kind` is the error that others met, None for a rate."""

    until: float
    why: Why
    kind: ErrorKind | None = None
    failures: int = 0


def turn(lane: Lane, traffic: Traffic, *, now: float, insists: bool = False) -> Clear | NotYet:
    """Say whether a call may begin. One that `insists` asks a vendor although it named a later time."""
    health, named = traffic.health, traffic.named
    if named.until > now and not insists:
        return NotYet(named.until, "named", named.kind)
    if health.until > now:
        return NotYet(health.until, "set_aside", health.kind, health.failures)
    recovering = health.failures >= MOST_FAILURES
    if recovering and health.probing is not None and health.probe_ends > now:
        return NotYet(health.probe_ends, "probed", health.kind, health.failures)
    return _on_time(lane, traffic, now) or Clear(probes=recovering)


def _on_time(lane: Lane, traffic: Traffic, now: float) -> NotYet | None:
    """Return which of the vendor's limits keeps a call back, and until when."""
    if lane.max_concurrency is not None and traffic.in_flight >= lane.max_concurrency:
        return NotYet(float("inf"), "max_concurrency")
    if lane.requests_per_minute is not None and traffic.requests_at > now:
        return NotYet(traffic.requests_at, "requests_per_minute")
    if lane.tokens_per_minute is not None and traffic.tokens_at > now:
        return NotYet(traffic.tokens_at, "tokens_per_minute")
    return None


def later(on_time: float, amount: float, per_minute: int, *, now: float) -> float:
    """Return from when on the next call is on time, after one of this amount that begins now."""
    return max(on_time, now) + amount * MINUTE / per_minute


def returned(on_time: float, amount: float, per_minute: int) -> float:
    """Return the same once it is known that so much less was used."""
    return on_time - amount * MINUTE / per_minute


def answered(health: Health) -> Health:
    """Return the health after the vendor answered, be it with a refusal: it is there."""
    return Health() if health.failures else health


def failed(health: Health, kind: ErrorKind, *, key: str, now: float) -> Health:
    """Return the health after the failure of a call: from the fifth in a row on a rest, each twice as long.

    Calls that were under way when the rest began change nothing, however long they take; the probe after it does.
    """
    if health.failures >= MOST_FAILURES and health.probing != key:
        return health
    failures = health.failures + 1
    over = failures - MOST_FAILURES
    until = now + min(LONGEST_REST, FIRST_REST * 2.0 ** min(over, 16)) if over >= 0 else health.until
    return Health(failures, until, kind)


def unheard(health: Health, key: str) -> Health:
    """Return the health after a call ended without a word of the vendor's: another one may probe."""
    return replace(health, probing=None, probe_ends=0.0) if health.probing == key else health


def probing(health: Health, key: str, ends: float) -> Health:
    """Return the health while this call finds out whether the vendor is back."""
    return replace(health, probing=key, probe_ends=ends)


def credible(seconds: float | None) -> float | None:
    """Return the seconds that a vendor named, None for what can be no such time."""
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_WORD else None
