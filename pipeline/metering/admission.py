"""Let a call of a stage begin: wait its turn, count it if its bound is too wide, hold its worst case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from pipeline.memory.budget import Need, counted_bound
from pipeline.memory.ledger import Ask, Ledger, NotYet, Reservation, Seat, Uncounted
from pipeline.memory.pace import Lane
from pipeline.metering.counting import exact_count
from pipeline.metering.hold_ups import held_up
from pipeline.metering.outage import ending
from pipeline.metering.vendor_errors import TryAgain, Wait
from stages.model import Model, Request, Usage

LOOK_AGAIN = 0.5  # seconds between looks at what other processes hold
LEASE_GRACE = 60.0  # seconds after the attempt's deadline in which a call must have been settled


class Pricing(Protocol):
    """The price of one model."""

    def cost(self, usage: Usage) -> Decimal:
        """Return the exact price in USD."""
        ...

    def ceiling(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return the dearest price in USD the call can meet."""
        ...

    def record(self) -> dict[str, str]:
        """Return the prices for the ledger."""
        ...


class Deadline(Protocol):
    """When an attempt is over."""

    def remaining(self) -> float:
        """Return the seconds left, negative when it is over."""
        ...

    def extend(self, seconds: float) -> None:
        """Let the attempt end so much later."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the stage's, over all its tries. `asked` says that its vendor was asked to count it.

    `reported` is the input of the call it extends, 0 where it extends none.
    """

    turn: int
    request: Request
    input_bound: int
    reported: int = 0
    asked: bool = False
    counted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every call of an attempt is bound by. `clock` is UTC seconds.

    Calls wait their turn in `lane`. `may_fall_back` says that the attempt has a fallback left for an outage.
    """

    ledger: Ledger
    seat: Seat
    pricing: Pricing | None
    deadline: Deadline
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    lane: Lane | None = None
    may_fall_back: bool = False

    def remaining(self) -> float:
        """Return the seconds the attempt has left.

        :raises TimeoutError: none.
        """
        remaining = self.deadline.remaining()
        if remaining <= 0:
            raise self.out_of_time()
        return remaining

    def out_of_time(self) -> TimeoutError:
        """Return the error for an attempt whose deadline passed."""
        return TimeoutError(f"attempt {self.seat.attempt} of the {self.seat.stage} is out of time")


class Admission:
    """The way into the ledger for the calls of one attempt.

    Where the attempt `insists`, its first call does not wait for a time that the vendor named.
    """

    def __init__(self, terms: Terms, *, insists: bool) -> None:
        self._terms = terms
        self._insists = insists

    async def admit(self, model: Model, call: Call) -> tuple[Call, Reservation]:
        """Hold the call's worst case in its turn, counted if its bound leaves no room, waiting for others.

        Waiting for others, for room under the cap or among the calls in flight, is not the attempt's time; the
        counting and any other turn are.
        """
        waited, told, probed_since = False, None, self._terms.clock()
        while True:
            ask = self._ask(call)
            answer = self._terms.ledger.reserve(ask)
            match answer:
                case Reservation():
                    self._insists = False
                    return call, answer
                case Uncounted():
                    call = await self._counted(model, call)
                case NotYet():
                    probed_since = probed_since if told == "probed" else self._terms.clock()
                    await self._wait_for_turn(ask, answer, tell=answer.why != told, since=probed_since)
                    told = answer.why
                case _:
                    if not waited:
                        self._terms.ledger.waits_for_room(self._terms.seat, answer)
                    waited = True
                    await self._wait_for_others(LOOK_AGAIN)

    def _ask(self, call: Call) -> Ask:
        terms = self._terms
        remaining = terms.remaining()
        return Ask(
            seat=terms.seat,
            turn=call.turn,
            request=call.request,
            need=Need(
                input_bound=call.input_bound,
                max_output_tokens=call.request.max_output_tokens,
                ceiling=terms.pricing.ceiling if terms.pricing else None,
            ),
            lease=terms.clock() + remaining + LEASE_GRACE,
            price=terms.pricing.record() if terms.pricing else None,
            lane=terms.lane,
            insists=self._insists,
            countable=not call.asked,
            counted=call.counted,
        )

    async def _counted(self, model: Model, call: Call) -> Call:
        count = await exact_count(model, call.request, self._terms.deadline.remaining())
        bound = counted_bound(call.input_bound, count, call.reported)
        return replace(call, asked=True, counted=bound < call.input_bound, input_bound=bound)

    async def _wait_for_turn(self, ask: Ask, why: NotYet, *, tell: bool, since: float) -> None:
        """Wait until the call may begin or something changes, or raise what the hold-up comes to.

        `since` is from when on it waits for somebody else's probe, if it does.
        """
        terms = self._terms
        assert ask.lane is not None
        now, remaining = terms.clock(), terms.remaining()
        found = held_up(
            why,
            ask.lane,
            now=now,
            deadline=now + remaining,
            may_fall_back=terms.may_fall_back,
            waited=now - since,
        )
        match found.reaction:
            case Wait(seconds):
                if tell:
                    terms.ledger.waits_for_turn(ask, why, min(max(0.0, why.until - now), remaining))
                await self._wait_for_others(seconds) if why.why == "max_concurrency" else await self._wait(seconds)
            case TryAgain():
                pass
            case final:
                raise ending(terms.seat, found.error, final, seconds_left=remaining)

    async def _wait(self, seconds: float) -> None:
        terms = self._terms
        await terms.ledger.changed.wait(min(seconds, terms.remaining()), terms.sleep)

    async def _wait_for_others(self, seconds: float) -> None:
        # Never longer than half of what is left: the deadline is moved after each wait, before it can pass. What the
        # wait took is read off the deadline itself: the clock on the wall may be set meanwhile.
        terms = self._terms
        before = terms.remaining()
        await terms.ledger.changed.wait(min(seconds, before / 2), terms.sleep)
        terms.deadline.extend(before - terms.deadline.remaining())
