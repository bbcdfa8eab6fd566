"""The ledger of paid calls: reserve the worst case, then settle what a call came to or release it.

Each step is one transaction over calls, budgets and journal. The invariant, in every scope and at every moment:
settled + held <= cap, unless a vendor reports more than was reserved.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy.engine import Connection

from pipeline.errors import BudgetOpenError, InfrastructureError
from pipeline.events import CallReserved, CallWaiting
from pipeline.memory import breaker, calls, lanes, scopes, settlement, turns
from pipeline.memory.asking import Ask, Uncounted, Waiting
from pipeline.memory.budget import Balance, Grant, Hold, Open, Scope, charges, decide, run_scope, usd_text
from pipeline.memory.calls import CallRow, Reservation, Seat
from pipeline.memory.database import CALL, Store
from pipeline.memory.journal import Journal
from pipeline.memory.pace import Clear, Lane, Named, NotYet
from pipeline.memory.settlement import Outcome, Settlement
from pipeline.memory.transcript import dump_request
from stages.model import ModelError

__all__ = [
    "Ask",
    "CallRow",
    "Ledger",
    "NotYet",
    "Outcome",
    "Reservation",
    "Scope",
    "Seat",
    "Settlement",
    "Uncounted",
    "Waiting",
]


class Ledger:
    """The paid calls of one run. Caps come from `open_scopes`; without them no call is allowed.

    `works` tells whether a process still works on a run, by its id.
    """

    def __init__(self, store: Store, journal: Journal, works: Callable[[str], bool] = lambda _run: True) -> None:
        self._store = store
        self._journal = journal
        self._works = works
        self._run = journal.run_id
        self._names: tuple[str, ...] = ()
        self.changed = store.changed

    def open_scopes(self, caps: Sequence[Scope]) -> None:
        """Put caps in force. One that was raised lets a run whose breaker opened go on.

        A cap is never lowered below what is already spent and held.
        """
        self._names = tuple(sorted(scope.name for scope in caps))
        with self._store.begin() as connection:
            raised = [scopes.set_cap(connection, scope) for scope in sorted(caps, key=lambda scope: scope.name)]
            if any(raised):
                scopes.close(connection, self._names)
        self.changed.announce()

    def reserve(self, ask: Ask) -> Reservation | Waiting | NotYet | Uncounted:
        """Hold a call's worst case in every scope it is charged to and take its turn in its lane, or neither.

        :raises BudgetOpenError: the breaker of this run is open, or opens because the call does not fit.
        """
        with self._store.begin() as connection:
            answer = self._answer(connection, ask)
        if isinstance(answer, BudgetOpenError):
            self.changed.announce()
            raise answer
        return answer

    def settle(self, reservation: Reservation, outcome: Outcome) -> Settlement:
        """Charge what a call came to and keep its reply."""
        with self._store.begin() as connection:
            settled = settlement.charge(connection, self._journal, reservation, outcome)
            turns.settled(connection, reservation, outcome, self._journal.clock())
        self.changed.announce()
        return settled

    def release(self, reservation: Reservation, error: ModelError) -> None:
        """Give a reservation back: the vendor certainly refused before it generated anything."""
        with self._store.begin() as connection:
            settlement.release(connection, self._journal, reservation, error)
            turns.refused(connection, reservation, error, self._journal.clock())
        self.changed.announce()

    def expire_open(self, reason: str) -> int:
        """Count every open reservation of the run as spent and return how many there were."""
        with self._store.begin() as connection:
            open_calls = calls.held_calls(connection, self._run)
            expired = settlement.expire(connection, self._journal, open_calls, reason)
        self.changed.announce()
        return expired

    def waits_for_room(self, seat: Seat, waiting: Waiting) -> None:
        """Record that a call waits for what others hold."""
        event = CallWaiting(key=waiting.key, stage=seat.stage, reason="budget", seconds=waiting.seconds)
        self._journal.append(event)

    def waits_for_turn(self, ask: Ask, why: NotYet, seconds: float) -> None:
        """Record that a call waits for its turn in its lane."""
        with self._store.begin() as connection:
            _, _, key = self._identity(connection, ask)
            reason: Literal["pace", "outage"] = "pace" if why.kind is None else "outage"
            stage = ask.seat.stage
            event = CallWaiting(key=key, stage=stage, reason=reason, error=why.kind, seconds=seconds)
            self._journal.append(event, connection)

    def named_time(self, lane: Lane) -> Named:
        """Return until when the vendor said last that it would not answer."""
        with self._store.read() as connection:
            return lanes.named_time(connection, lane, self._journal.clock())

    def waits_for_vendor(self, reservation: Reservation, error: ModelError, seconds: float) -> None:
        """Record that a call waits for its vendor before its next try."""
        stage = reservation.seat.stage
        event = CallWaiting(key=reservation.key, stage=stage, reason="retry", error=error.kind, seconds=seconds)
        self._journal.append(event)

    def calls(self) -> list[CallRow]:
        """Return every try of the run in the order they began."""
        return calls.call_rows(self._store, self._run)

    def balances(self) -> list[Balance]:
        """Return the scopes in force as they stand."""
        with self._store.read() as connection:
            return scopes.balances(connection, self._names)

    def totals(self) -> dict[str, Any]:
        """Return `calls`, `usage` (with `counted` and `cap`), `cost`, and `scopes`: cap, held and spent by name."""
        totals = calls.sums(self.calls())
        balances = {balance.name: balance for balance in self.balances()}
        run = balances.get(run_scope(self._run, "tokens"))
        totals["usage"]["cap"] = run.cap if run else None
        totals["scopes"] = {
            name: {"unit": balance.unit, "cap": balance.cap, "held": balance.held, "spent": balance.spent}
            for name, balance in balances.items()
        }
        return totals

    def _answer(self, connection: Connection, ask: Ask) -> Reservation | Waiting | NotYet | Uncounted | BudgetOpenError:
        lapsed = calls.held_calls(connection, self._run, CALL.c.lease < self._journal.now())
        settlement.expire(connection, self._journal, lapsed, "its lease ran out")
        in_force = scopes.balances(connection, self._names)
        if not in_force or len(in_force) != len(self._names):
            raise InfrastructureError(f"run {self._run} has no cap in the state database; start a new run")
        for balance in in_force:
            if balance.opened:
                return breaker.still_open(balance)
        turn = turns.turn(connection, ask.lane, self._journal.clock(), self._works, insists=ask.insists)
        if isinstance(turn, NotYet):
            return turn
        charged = [balance for balance in in_force if charges(balance.name, self._run, ask.seat.stage)]
        return self._decided(connection, ask, turn, charged)

    def _decided(
        self, connection: Connection, ask: Ask, turn: Clear, charged: Sequence[Balance]
    ) -> Reservation | Waiting | Uncounted | BudgetOpenError:
        decision = decide(ask.need, charged)
        if ask.countable and not (isinstance(decision, Grant) and decision.shrunk_by is None):
            return Uncounted()
        match decision:
            case Grant():
                reservation = self._grant(connection, ask, decision, charged)
                turns.begin(connection, reservation, turn, ask.lease)
                return reservation
            case Hold():
                return self._hold(connection, ask)
            case Open():
                breaker.trip(connection, self._journal, decision.balance, "no_room", decision.needed)
                return breaker.no_room(decision.balance, ask.seat.stage, decision.needed)

    def _grant(self, connection: Connection, ask: Ask, grant: Grant, charged: Sequence[Balance]) -> Reservation:
        request, number, key = self._identity(connection, ask)
        reservation = Reservation(
            key=key,
            seat=ask.seat,
            turn=ask.turn,
            try_number=number,
            scopes=tuple(balance.name for balance in charged),
            tokens=ask.need.input_bound + grant.max_output_tokens,
            micro_usd=ask.need.amount(grant.max_output_tokens, "micro_usd"),
            input_bound=ask.need.input_bound,
            max_output_tokens=grant.max_output_tokens,
            started=self._journal.now(),
            shrunk_by=grant.shrunk_by,
            lane=ask.lane,
            counted=ask.counted,
        )
        scopes.hold(connection, reservation.scopes, reservation.amounts)
        lease = datetime.fromtimestamp(ask.lease, UTC)
        others = {"request": request, "price": dict(ask.price) if ask.price else None, "lease": lease}
        calls.insert_held(connection, self._run, reservation, others)
        self._journal.append(_reserved(reservation), connection)
        breaker.warn(connection, self._journal, breaker.with_held(charged, reservation.amounts))
        return reservation

    def _hold(self, connection: Connection, ask: Ask) -> Waiting:
        _, _, key = self._identity(connection, ask)
        lease = calls.longest_lease(connection, self._run) or self._journal.now()
        return Waiting(key, max(0.0, (lease - self._journal.now()).total_seconds()))

    def _identity(self, connection: Connection, ask: Ask) -> tuple[str, int, str]:
        """Return the digest of a call's request, the number of its try, and its key."""
        request = dump_request(ask.request, lambda content: self._journal.put(content, connection))
        number = calls.next_try(connection, self._run, ask.seat, ask.turn)
        return request, number, calls.call_key(self._run, ask.seat, ask.turn, number, request)


def _reserved(reservation: Reservation) -> CallReserved:
    return CallReserved(
        key=reservation.key,
        stage=reservation.seat.stage,
        item=reservation.seat.item,
        attempt=reservation.seat.attempt,
        turn=reservation.turn,
        try_number=reservation.try_number,
        vendor=reservation.seat.vendor,
        model=reservation.seat.model,
        tokens=reservation.tokens,
        input_bound=reservation.input_bound,
        max_output_tokens=reservation.max_output_tokens,
        shrunken=reservation.shrunk_by is not None,
        counted=reservation.counted,
        cost=None if reservation.micro_usd is None else usd_text(reservation.micro_usd),
    )
