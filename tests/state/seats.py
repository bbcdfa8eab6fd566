"""A ledger on a real file, and the calls that tests ask it for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from pipeline.memory.budget import Balance, Need
from pipeline.memory.database import open_store
from pipeline.memory.journal import Journal
from pipeline.memory.ledger import Ask, Ledger, Outcome, Reservation, Scope, Seat
from stages.artifacts import StageName
from stages.model import Usage
from tests.fakes.clock import FakeClock
from tests.fakes.model import reply, request

RUN = "20261120-100000-000a1b2c3"
TOKENS, COST = f"run/{RUN}/tokens", f"run/{RUN}/cost"
SHARE, COST_SHARE = f"run/{RUN}/coder/tokens", f"run/{RUN}/coder/cost"
PRICE: Mapping[str, str] = {"input": "5", "output": "25"}


def price(input_tokens: int, output_tokens: int) -> Decimal:
    return input_tokens * Decimal("0.000005") + output_tokens * Decimal("0.000025")


class Desk:
    """A ledger with its clock and journal; `caps` are put in force by scope name."""

    def __init__(self, path: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.store = open_store(f"sqlite:///{path}/state.sqlite")
        self.journal = Journal(self.store, RUN, clock=self.clock, redact=lambda text: text)
        self.ledger = Ledger(self.store, self.journal)
        self._turn = 0

    def cap(self, **caps: int) -> None:
        names = {"tokens": TOKENS, "cost": COST, "share": SHARE, "cost_share": COST_SHARE}
        self.ledger.open_scopes(
            [Scope(names[key], "micro_usd" if "cost" in key else "tokens", cap) for key, cap in caps.items()]
        )

    def ask(
        self,
        *,
        input_bound: int = 1_000,
        output: int = 4_000,
        stage: StageName = "coder",
        lease: float = 300.0,
        turn: int | None = None,
        countable: bool = False,
        counted: bool = False,
    ) -> Ask:
        self._turn += 1
        return Ask(
            seat=Seat(stage, "item-1", 1, "scripted", "small", 32_000),
            turn=turn or self._turn,
            request=request(),
            need=Need(input_bound, output, price),
            lease=self.clock() + lease,
            price=PRICE,
            countable=countable,
            counted=counted,
        )

    def reserve(
        self, *, input_bound: int = 1_000, output: int = 4_000, stage: StageName = "coder", lease: float = 300.0
    ) -> Reservation:
        """Reserve a call that has to be granted."""
        answer = self.ledger.reserve(self.ask(input_bound=input_bound, output=output, stage=stage, lease=lease))
        assert isinstance(answer, Reservation)
        return answer

    def balance(self, name: str = TOKENS) -> Balance:
        (found,) = [balance for balance in self.ledger.balances() if balance.name == name]
        return found

    def kinds(self) -> list[str]:
        return [stored.event.kind for stored in self.journal.events()]


def answered(input_tokens: int, output_tokens: int, *, cache_read: int = 0, stop: str = "done") -> Outcome:
    """Return an answer's outcome at the price above."""
    said = reply(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=cache_read,
        stop="truncated" if stop == "truncated" else "done",
    )
    return Outcome(usage=said.usage, cost=price(input_tokens, output_tokens), reply=said)


def unanswered(reservation: Reservation, error: str) -> Outcome:
    """Return the outcome of a call that is charged at its reservation."""
    usage = Usage(input=reservation.input_bound, output=reservation.max_output_tokens, source="reserved")
    return Outcome(usage=usage, cost=price(usage.input, usage.output), error=error)


@contextmanager
def desk(path: Path) -> Iterator[Desk]:
    opened = Desk(path)
    try:
        yield opened
    finally:
        opened.store.close()
