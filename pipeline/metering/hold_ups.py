"""What a call does that may not begin yet: wait its turn, park or stop the run; pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.memory.pace import Lane, NotYet
from pipeline.metering.vendor_errors import Park, Reaction, Stop, Tries, Wait, react, with_fallback
from stages.model import ModelError

LOOK_FOR_THE_DEAD = 5.0  # seconds: a process that died tells nobody that it makes room


@dataclass(frozen=True, slots=True)
class HoldUp:
    """Why a call may not begin, as the vendor's failure it is or would be, and what to do about it."""

    error: ModelError
    reaction: Reaction


def held_up(why: NotYet, lane: Lane, *, now: float, deadline: float, may_fall_back: bool) -> HoldUp:
    """Return what to do; times are UTC seconds since the epoch, `deadline` is the attempt's."""
    error = ModelError(why.kind or "rate_limit", _words(why, lane), retry_after=why.until - now, generated=False)
    match why.why:
        case "named":
            reaction = react(error, tries=Tries(), now=now, deadline=deadline)
        case "set_aside" if why.until >= deadline:
            reaction = Stop("the attempt's timeout passes before that")
        case "max_concurrency" | "probed":
            return HoldUp(error, Wait(LOOK_FOR_THE_DEAD))
        case "requests_per_minute" | "tokens_per_minute" if why.until >= deadline:
            return HoldUp(error, Park(why.until))
        case _:
            reaction = Wait(why.until - now)
    outage = why.kind is not None and may_fall_back
    return HoldUp(error, with_fallback(reaction, error, now=now) if outage else reaction)


def _words(why: NotYet, lane: Lane) -> str:
    match why.why:
        case "named":
            return f"it said that it answers again from {_clock(why.until)} on"
        case "set_aside":
            return f"it failed {why.failures} times in a row and is set aside until {_clock(why.until)}"
        case "probed":
            return f"it failed {why.failures} times in a row, and another call is finding out whether it is back"
        case "max_concurrency":
            return f"vendors.{lane.vendor}.max_concurrency ({lane.max_concurrency}) calls are in flight"
        case limit:
            rate = lane.requests_per_minute if limit == "requests_per_minute" else lane.tokens_per_minute
            return f"vendors.{lane.vendor}.{limit} ({rate:_}) is used up until {_clock(why.until)}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
