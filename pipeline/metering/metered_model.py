"""A model behind the breaker: every try is reserved, bounded in time, settled or released, and journaled."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

import anyio

from pipeline.memory.budget import Need, counted_bound, is_plausible
from pipeline.memory.ledger import Ask, Ledger, Outcome, Reservation, Seat, Uncounted
from pipeline.memory.settlement import Settlement, at_reservation
from pipeline.metering.conversation import Conversation
from pipeline.metering.counting import exact_count
from pipeline.metering.outage import UnusableReplyError, VendorStopError, ending, refused
from pipeline.metering.vendor_errors import Tries, TryAgain, Wait, react
from stages.model import Model, ModelError, Reply, Request, Usage

__all__ = ["Deadline", "MeteredModel", "Pricing", "Seat", "UnusableReplyError", "VendorStopError"]

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
class _Call:
    """One call of the stage's, over all its tries. `asked` says that its vendor was asked to count it."""

    turn: int
    request: Request
    input_bound: int
    asked: bool = False
    counted: bool = False


class MeteredModel:
    """The only model a stage ever holds. Made for one attempt; it counts the attempt's calls.

    `complete` raises, and no stage may catch: BudgetOpenError (the breaker), ParkedError, VendorStopError,
    UnusableReplyError, and TimeoutError when the attempt's deadline passes. `clock` is UTC seconds.
    """

    def __init__(  # noqa: PLR0913 - what reaches it from outside comes in by name
        self,
        open_model: Callable[[], Awaitable[Model]],
        *,
        ledger: Ledger,
        seat: Seat,
        pricing: Pricing | None,
        deadline: Deadline,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._open_model = open_model
        self._opening = anyio.Lock()
        self._raw: Model | None = None
        self._ledger = ledger
        self._seat = seat
        self._pricing = pricing
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._turn = 0
        self._conversation = Conversation()

    async def complete(self, request: Request) -> Reply:
        """Answer, after as many tries as the vendor's errors and the deadline allow."""
        self._turn += 1
        wanted = min(request.max_output_tokens, self._seat.max_output_tokens_ceiling)
        asked = replace(request, max_output_tokens=wanted)
        call = _Call(turn=self._turn, request=asked, input_bound=self._conversation.bound(asked))
        model = await self._model()
        tries = Tries()
        while True:
            call, reservation = await self._reserve(model, call)
            try:
                return await self._try(model, call, reservation)
            except ModelError as error:
                self._charge_failure(reservation, error)
                await self._recover(reservation, error, tries)
                tries = tries.after(error.kind)

    async def count_tokens(self, request: Request) -> int | None:
        """Return the exact input tokens where the vendor can say; this costs nothing."""
        model = await self._model()
        return await model.count_tokens(request)

    async def _model(self) -> Model:
        async with self._opening:
            if self._raw is None:
                self._raw = await self._open_model()
            return self._raw

    async def _reserve(self, model: Model, call: _Call) -> tuple[_Call, Reservation]:
        """Hold the call's worst case, counted if its bound leaves no room, waiting for others if that helps.

        The wait is not the attempt's time; the counting is.
        """
        waited = False
        while True:
            answer = self._ledger.reserve(self._ask(call))
            if isinstance(answer, Reservation):
                return call, answer
            if isinstance(answer, Uncounted):
                call = await self._counted(model, call)
                continue
            if not waited:
                self._ledger.waits_for_room(self._seat, answer)
                waited = True
            await self._wait_for_room()

    async def _counted(self, model: Model, call: _Call) -> _Call:
        count = await exact_count(model, call.request, self._deadline.remaining())
        bound = counted_bound(call.input_bound, count, self._conversation.reported(call.request))
        return replace(call, asked=True, counted=bound < call.input_bound, input_bound=bound)

    def _ask(self, call: _Call) -> Ask:
        remaining = self._remaining()
        return Ask(
            seat=self._seat,
            turn=call.turn,
            request=call.request,
            need=Need(
                input_bound=call.input_bound,
                max_output_tokens=call.request.max_output_tokens,
                ceiling=self._pricing.ceiling if self._pricing else None,
            ),
            lease=self._clock() + remaining + LEASE_GRACE,
            price=self._pricing.record() if self._pricing else None,
            countable=not call.asked,
            counted=call.counted,
        )

    async def _wait_for_room(self) -> None:
        # Never longer than half of what is left: the deadline is moved after each wait, before it can pass.
        began = self._clock()
        await self._ledger.changed.wait(min(LOOK_AGAIN, self._remaining() / 2), self._sleep)
        self._deadline.extend(self._clock() - began)

    def _remaining(self) -> float:
        remaining = self._deadline.remaining()
        if remaining <= 0:
            raise self._out_of_time()
        return remaining

    async def _try(self, model: Model, call: _Call, reservation: Reservation) -> Reply:
        sent = replace(call.request, max_output_tokens=reservation.max_output_tokens)
        reply: Reply | None = None
        try:
            with anyio.move_on_after(max(0.0, self._deadline.remaining())):
                reply = await model.complete(sent)
        except ModelError:
            raise
        except TimeoutError as error:
            raise ModelError("timeout", str(error) or "the vendor's client gave up") from error
        except BaseException as error:
            # Cancelled, or a defect of the vendor's module: the vendor may bill it, so it is paid in full.
            # Nothing here awaits, so no second cancellation can come between.
            cancelled = isinstance(error, anyio.get_cancelled_exc_class())
            self._settle(
                reservation, at_reservation(reservation), error="cancelled" if cancelled else type(error).__name__
            )
            raise
        if reply is None:
            self._settle(reservation, at_reservation(reservation), error="deadline")
            raise self._out_of_time()
        return self._accept(call, reservation, reply)

    def _accept(self, call: _Call, reservation: Reservation, reply: Reply) -> Reply:
        silent = not (reply.turn.text or reply.turn.calls)
        credible = is_plausible(reply.usage) and (silent or reply.usage.output > 0)
        usage = reply.usage if credible else at_reservation(reservation)
        settled = self._settle(reservation, usage, reply=reply)
        if settled.cut is not None:
            raise settled.cut
        if reply.stop == "refused":
            raise refused(self._seat, reply)
        answer = replace(reply, usage=usage)
        self._conversation.heard(call.request, answer)
        return answer

    def _settle(
        self, reservation: Reservation, usage: Usage, *, reply: Reply | None = None, error: str | None = None
    ) -> Settlement:
        cost: Decimal | None = None
        if self._pricing is not None:
            known = usage.source != "reserved"
            cost = self._pricing.cost(usage) if known else self._pricing.ceiling(usage.input, usage.output)
        return self._ledger.settle(reservation, Outcome(usage=usage, cost=cost, reply=reply, error=error))

    def _charge_failure(self, reservation: Reservation, error: ModelError) -> None:
        """Release what was certainly not billed; charge the rest as far as it is known, else in full."""
        if not error.generated:
            self._ledger.release(reservation, error)
            return
        usage = at_reservation(reservation)
        if error.input_reported is not None:
            input_tokens, cache_read = error.input_reported
            reported = replace(usage, input=input_tokens, cache_read=cache_read, source="reported")
            usage = replace(reported, source="reserved") if is_plausible(reported) else usage
        self._settle(reservation, usage, error=error.kind)

    async def _recover(self, reservation: Reservation, error: ModelError, tries: Tries) -> None:
        """Return when another try is due, or raise what the failure comes to."""
        now = self._clock()
        deadline = now + self._deadline.remaining()
        match react(error, tries=tries, now=now, deadline=deadline, jitter=self._jitter()):
            case Wait(seconds):
                self._ledger.waits_for_vendor(reservation, error, seconds)
                await self._sleep(seconds)
            case TryAgain():
                pass
            case final:
                raise ending(self._seat, error, final) from error

    def _out_of_time(self) -> TimeoutError:
        return TimeoutError(f"attempt {self._seat.attempt} of the {self._seat.stage} is out of time")
