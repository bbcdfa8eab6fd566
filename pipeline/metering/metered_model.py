"""A model behind the breaker: every try is reserved, bounded in time, settled or released, and journaled."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import anyio

from pipeline.memory.budget import is_plausible
from pipeline.memory.ledger import Ledger, Outcome, Reservation, Seat
from pipeline.memory.pace import Lane
from pipeline.memory.settlement import Settlement, at_reservation
from pipeline.metering.admission import LOOK_AGAIN, Admission, Call, Deadline, Pricing, Terms
from pipeline.metering.conversation import Conversation
from pipeline.metering.outage import FallbackDueError, UnusableReplyError, VendorStopError, ending, refused
from pipeline.metering.vendor_errors import Tries, TryAgain, Wait, react, with_fallback
from stages.model import Model, ModelError, Reply, Request, Usage

__all__ = [
    "LOOK_AGAIN",
    "Deadline",
    "FallbackDueError",
    "MeteredModel",
    "Pricing",
    "Seat",
    "UnusableReplyError",
    "VendorStopError",
]


class MeteredModel:
    """The only model a stage ever holds. Made for one attempt; it counts the attempt's calls.

    `complete` raises, and no stage may catch: BudgetOpenError (the breaker), ParkedError, VendorStopError,
    FallbackDueError, UnusableReplyError, and TimeoutError when the attempt's deadline passes. `clock` is UTC seconds.
    Calls wait their turn in `lane`; where the attempt `insists`, its first call does not wait for a time that the
    vendor named. `may_fall_back` says that the attempt has a fallback left.
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
        lane: Lane | None = None,
        insists: bool = False,
        may_fall_back: bool = False,
    ) -> None:
        self._open_model = open_model
        self._opening = anyio.Lock()
        self._raw: Model | None = None
        self._ledger = ledger
        self._seat = seat
        self._pricing = pricing
        self._jitter = jitter
        self._terms = Terms(
            ledger=ledger,
            seat=seat,
            pricing=pricing,
            deadline=deadline,
            clock=clock,
            sleep=sleep,
            lane=lane,
            may_fall_back=may_fall_back,
        )
        self._admission = Admission(self._terms, insists=insists)
        self._turn = 0
        self._conversation = Conversation()

    async def complete(self, request: Request) -> Reply:
        """Answer, after as many tries as the vendor's errors and the deadline allow."""
        self._turn += 1
        wanted = min(request.max_output_tokens, self._seat.max_output_tokens_ceiling)
        asked = replace(request, max_output_tokens=wanted)
        bound, reported = self._conversation.bound(asked), self._conversation.reported(asked)
        call = Call(turn=self._turn, request=asked, input_bound=bound, reported=reported)
        model = await self._model()
        tries = Tries()
        while True:
            call, reservation = await self._admission.admit(model, call)
            try:
                return await self._try(model, call, reservation)
            except ModelError as error:
                self._charge_failure(reservation, error)
                await self._recover(reservation, error, tries)
                tries = tries.after(error)

    async def count_tokens(self, request: Request) -> int | None:
        """Return the exact input tokens where the vendor can say; this costs nothing."""
        model = await self._model()
        return await model.count_tokens(request)

    async def _model(self) -> Model:
        async with self._opening:
            if self._raw is None:
                self._raw = await self._open_model()
            return self._raw

    async def _try(self, model: Model, call: Call, reservation: Reservation) -> Reply:
        sent = replace(call.request, max_output_tokens=reservation.max_output_tokens)
        reply: Reply | None = None
        try:
            with anyio.move_on_after(max(0.0, self._terms.deadline.remaining())):
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
            raise self._terms.out_of_time()
        return self._accept(call, reservation, reply)

    def _accept(self, call: Call, reservation: Reservation, reply: Reply) -> Reply:
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
        self,
        reservation: Reservation,
        usage: Usage,
        *,
        reply: Reply | None = None,
        error: str | None = None,
        failure: ModelError | None = None,
    ) -> Settlement:
        cost: Decimal | None = None
        if self._pricing is not None:
            known = usage.source != "reserved"
            cost = self._pricing.cost(usage) if known else self._pricing.ceiling(usage.input, usage.output)
        what = failure.kind if failure else error
        outcome = Outcome(usage=usage, cost=cost, reply=reply, error=what, failure=failure)
        return self._ledger.settle(reservation, outcome)

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
        self._settle(reservation, usage, failure=error)

    async def _recover(self, reservation: Reservation, error: ModelError, tries: Tries) -> None:
        """Return when another try is due, or raise what the failure comes to."""
        terms = self._terms
        now, left = terms.clock(), terms.deadline.remaining()
        reaction = react(error, tries=tries, now=now, deadline=now + left, jitter=self._jitter())
        if terms.may_fall_back:
            reaction = with_fallback(reaction, error, now=now)
        match reaction:
            case Wait(seconds):
                self._ledger.waits_for_vendor(reservation, error, seconds)
                await terms.sleep(seconds)
            case TryAgain():
                pass
            case final:
                raise ending(self._seat, error, final, seconds_left=left) from error
