"""What a call does that may not begin yet: wait its turn, park or stop the run; pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.memory.pace import Lane, NotYet
from pipeline.metering.vendor_errors import PATIENCE, FallBack, Park, Reaction, Stop, Tries, Wait, elsewhere, react
from stages.model import ModelError

LOOK_FOR_THE_DEAD = 5.0  # seconds: a process that died tells nobody that it makes room


@dataclass(frozen=True, slots=True)
class HoldUp:
    """Why a call may not begin, as the vendor's failure it is or would be, and what to do about it."""

    error: ModelError
    reaction: Reaction


def held_up(
    why: NotYet, lane: Lane, *, now: float, deadline: float, may_fall_back: bool, waited: float = 0.0
) -> HoldUp:
    """Return what to do; times are UTC seconds since the epoch, `deadline` is the attempt's.

    `waited` is for how long the call has waited for somebody else's probe already.
    """
    error = ModelError(why.kind or "rate_limit", _words(why, lane), retry_after=why.until - now, generated=False)
    reaction = _reaction(why, lane, error, now, deadline)
    if not may_fall_back or why.kind is None:
        return HoldUp(error, reaction)
    if why.why == "probed" and waited > PATIENCE:
        return HoldUp(error, FallBack(f"the wait is {waited:.0f} s already"))
    return HoldUp(error, elsewhere(reaction, now=now))


def _reaction(why: NotYet, lane: Lane, error: ModelError, now: float, deadline: float) -> Reaction:
    match why.why:
        case "named":
            return react(error, tries=Tries(), now=now, deadline=deadline)
        case "set_aside" if why.until >= deadline:
            return Stop("the attempt's timeout passes before that")
        case "probed" if now + LOOK_FOR_THE_DEAD >= deadline:
            return Stop("the attempt's timeout passes before that is known")
        case "max_concurrency" | "probed":
            return Wait(LOOK_FOR_THE_DEAD)
        case "requests_per_minute" | "tokens_per_minute" if why.until >= deadline:
            return Park(why.until, f"vendors.{lane.vendor}.{why.why}")
        case _:
            return Wait(why.until - now)


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
