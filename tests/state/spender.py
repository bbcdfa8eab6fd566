"""A process that makes calls on a shared database as fast as it can."""

import random
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

from pipeline.errors import BudgetOpenError
from pipeline.memory.ledger import Ask, NotYet, Reservation, Uncounted, Waiting
from stages.artifacts import StageName
from stages.model import ModelError
from tests.state.seats import Desk, answered, unanswered

STAGES: list[StageName] = ["planner", "coder", "reviewer"]


def spend(folder: str, seed: int, start: Barrier) -> None:
    """Make calls as fast as possible until the breaker opens: one of several processes."""
    chance = random.Random(seed)
    desk = Desk(Path(folder))
    desk.cap(tokens=150_000, cost=2_000_000, share=100_000)
    first = desk.ledger.reserve(desk.ask(output=2_000, turn=seed * 1_000 + 999, lease=3_600))
    assert isinstance(first, Reservation)
    start.wait(60)
    desk.ledger.settle(first, answered(500, 500))
    for turn in range(60):
        ask = desk.ask(
            stage=chance.choice(STAGES), output=chance.randint(1_500, 8_000), turn=seed * 1_000 + turn, lease=3_600
        )
        try:
            answer = _reserved(desk, ask, count=chance.randint(500, 1_000))
        except BudgetOpenError:
            break
        if not isinstance(answer, Reservation):
            continue
        match chance.randrange(4):
            case 0:
                desk.ledger.release(answer, ModelError("overloaded", "busy", generated=False))
            case 1:
                desk.ledger.settle(answer, unanswered(answer, "timeout"))
            case 2:
                pass  # killed: it stays open
            case _:
                said = answered(answer.input_bound, chance.randint(1, answer.max_output_tokens))
                desk.ledger.settle(answer, said)
        for balance in desk.ledger.balances():
            assert balance.spent + balance.held <= balance.cap, balance
    desk.store.close()


def _reserved(desk: Desk, ask: Ask, count: int) -> Reservation | Waiting | NotYet | Uncounted:
    """Reserve a call, counted where it does not fit without."""
    answer = desk.ledger.reserve(replace(ask, countable=True))
    if not isinstance(answer, Uncounted):
        return answer
    return desk.ledger.reserve(replace(ask, need=replace(ask.need, input_bound=count), counted=True))
