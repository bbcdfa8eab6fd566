"""No cap is ever broken and nothing is ever lost, whatever happens in whatever order."""

import multiprocessing
import shutil
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.errors import BudgetOpenError
from pipeline.events import CallRefused, CallReserved, CallSettled
from pipeline.memory.budget import counted_bound, micro_usd
from pipeline.memory.ledger import Ask, Reservation, Uncounted, Waiting
from stages.artifacts import StageName
from stages.model import ModelError
from tests.fakes.clock import FakeClock
from tests.state.seats import COST, COST_SHARE, SHARE, TOKENS, Desk, answered, unanswered
from tests.state.spender import spend

NAMES = {TOKENS: "tokens", COST: "cost", SHARE: "share", COST_SHARE: "cost_share"}
STAGES: list[StageName] = ["planner", "coder", "reviewer"]


class Ledgers(RuleBasedStateMachine):
    """Interleaved calls of one run against nested scopes, with crashes and resumes between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.clock = FakeClock()
        self.desk = Desk(self.folder, self.clock)
        self.caps: dict[str, int] = {}
        self.live: dict[str, Reservation] = {}
        self.broken: set[str] = set()
        self.open = False

    def teardown(self) -> None:
        self.desk.store.close()
        shutil.rmtree(self.folder)

    def apply_caps(self) -> None:
        self.desk.cap(**{NAMES[name]: cap for name, cap in self.caps.items()})

    def standing(self) -> list[tuple[str, int, str | None]]:
        """Return what is taken of each scope, and whether it is open; a lease that runs out changes neither."""
        return [(balance.name, balance.held + balance.spent, balance.opened) for balance in self.desk.ledger.balances()]

    def take(self, data: st.DataObject) -> Reservation:
        key = data.draw(st.sampled_from(sorted(self.live)))
        return self.live.pop(key)

    @initialize(
        tokens=st.integers(2_000, 60_000),
        share=st.none() | st.integers(1_000, 40_000),
        cost=st.none() | st.integers(30_000, 1_000_000),
        cost_share=st.none() | st.integers(30_000, 600_000),
    )
    def begin(self, tokens: int, share: int | None, cost: int | None, cost_share: int | None) -> None:
        wanted = {TOKENS: tokens, SHARE: share, COST: cost, COST_SHARE: cost_share}
        self.caps = {name: cap for name, cap in wanted.items() if cap is not None}
        self.apply_caps()

    @rule(
        stage=st.sampled_from(STAGES),
        input_bound=st.integers(100, 6_000),
        output=st.integers(200, 8_000),
        lease=st.integers(10, 200),
    )
    def reserve(self, stage: StageName, input_bound: int, output: int, lease: int) -> None:
        self.start(self.desk.ask(stage=stage, input_bound=input_bound, output=output, lease=lease))

    @rule(
        stage=st.sampled_from(STAGES),
        input_bound=st.integers(3_000, 40_000),
        count=st.none() | st.integers(-1, 6_000),
    )
    def reserve_by_count(self, stage: StageName, input_bound: int, count: int | None) -> None:
        ask = self.desk.ask(stage=stage, input_bound=input_bound, output=4_000, countable=True)
        before = self.standing()
        try:
            answer = self.desk.ledger.reserve(ask)
        except BudgetOpenError:
            assert self.open, "a call is counted before it opens the breaker"
            return
        if isinstance(answer, Reservation):
            assert (answer.counted, answer.max_output_tokens) == (False, 4_000), "what fits is not counted"
            self.live[answer.key] = answer
            return
        assert isinstance(answer, Uncounted)
        assert self.standing() == before, "counting holds nothing and opens nothing"
        bound = counted_bound(input_bound, count)
        need = replace(ask.need, input_bound=bound)
        self.start(replace(ask, need=need, countable=False, counted=bound < input_bound))

    def start(self, ask: Ask) -> None:
        try:
            answer = self.desk.ledger.reserve(ask)
        except BudgetOpenError:
            self.open = True
            return
        assert not self.open, "no call starts after the breaker opened"
        if isinstance(answer, Waiting):
            assert any(row.state == "held" for row in self.desk.ledger.calls()), "a waiter waits for somebody"
            return
        assert isinstance(answer, Reservation), "a call is counted once"
        assert answer.counted == ask.counted
        assert min(ask.need.max_output_tokens, 1_024) <= answer.max_output_tokens <= ask.need.max_output_tokens
        self.live[answer.key] = answer

    @precondition(lambda self: self.live)
    @rule(data=st.data(), share=st.floats(0, 1), cached=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float, cached: float) -> None:
        reservation = self.take(data)
        reported = 1 + int(share * (reservation.input_bound - 1))
        said = answered(reported, int(share * reservation.max_output_tokens), cache_read=int(cached * reported))
        self.desk.ledger.settle(reservation, said)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        reservation = self.take(data)
        said = answered(reservation.input_bound, reservation.max_output_tokens, stop="truncated")
        settlement = self.desk.ledger.settle(reservation, said)
        assert (settlement.cut is not None) == (reservation.shrunk_by is not None)
        self.open = self.open or settlement.cut is not None

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        reservation = self.take(data)
        self.desk.ledger.settle(reservation, unanswered(reservation, "cancelled"))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.desk.ledger.release(self.take(data), ModelError("overloaded", "busy", generated=False))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), beyond=st.integers(1, 20_000))
    def overrun(self, data: st.DataObject, beyond: int) -> None:
        reservation = self.take(data)
        said = answered(reservation.input_bound + beyond, reservation.max_output_tokens)
        assert self.desk.ledger.settle(reservation, said).overrun
        self.broken |= set(reservation.scopes)
        self.open = True

    @rule(seconds=st.integers(1, 150))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def crash_and_resume(self) -> None:
        self.desk.store.close()
        self.desk = Desk(self.folder, self.clock)
        self.apply_caps()
        held = sum(row.state == "held" for row in self.desk.ledger.calls())
        assert self.desk.ledger.expire_open("killed") == held
        self.live.clear()

    @rule(data=st.data(), more=st.integers(1, 60_000))
    def raise_a_cap(self, data: st.DataObject, more: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.caps)))
        self.caps[name] = self.desk.balance(name).cap + more
        self.apply_caps()
        self.open = False

    @invariant()
    def no_scope_is_over_its_cap(self) -> None:
        for balance in self.desk.ledger.balances():
            assert balance.held >= 0
            assert balance.spent >= 0
            assert balance.name in self.broken or balance.spent + balance.held <= balance.cap

    @invariant()
    def every_scope_is_the_sum_of_its_calls(self) -> None:
        rows = self.desk.ledger.calls()
        for balance in self.desk.ledger.balances():
            charged = [row for row in rows if balance.name in (TOKENS, COST) or row.stage == "coder"]
            held = [row for row in charged if row.state == "held"]
            if balance.unit == "tokens":
                assert balance.held == sum(row.reserved for row in held)
                assert balance.spent == sum(row.settled or 0 for row in charged)
            elif not held:
                assert balance.held == 0

    @invariant()
    def the_journal_tells_the_same_story(self) -> None:
        held: dict[str, int] = {}
        spent = 0
        for stored in self.desk.journal.events():
            match stored.event:
                case CallReserved(key=key, tokens=tokens):
                    assert key not in held
                    held[key] = tokens
                case CallSettled(key=key, tokens=tokens):
                    held.pop(key)
                    spent += tokens
                case CallRefused(key=key):
                    held.pop(key)
                case _:  # warnings and openings move no tokens
                    pass
        rows = self.desk.ledger.calls()
        assert sum(held.values()) == sum(row.reserved for row in rows if row.state == "held")
        assert self.broken or spent == sum(row.settled or 0 for row in rows)

    @invariant()
    def no_paid_answer_is_lost(self) -> None:
        for row in self.desk.ledger.calls():
            answered_for = row.state == "settled" and row.error is None
            assert (row.reply is not None) == answered_for


Ledgers.TestCase.settings = settings(
    max_examples=12, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedgers = Ledgers.TestCase


def test_parallel_processes_on_one_file_never_exceed_a_cap(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    processes = [context.Process(target=spend, args=(str(tmp_path), seed, start)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    desk = Desk(tmp_path)
    desk.cap(tokens=150_000, cost=2_000_000, share=100_000)
    desk.ledger.expire_open("killed")
    rows = desk.ledger.calls()
    tokens, share, cost = desk.balance(TOKENS), desk.balance(SHARE), desk.balance(COST)
    desk.store.close()
    assert {row.turn // 1_000 for row in rows} == {0, 1, 2, 3}, "every process took part"
    assert tokens.spent == sum(row.settled or 0 for row in rows) <= tokens.cap
    assert share.spent == sum(row.settled or 0 for row in rows if row.stage == "coder") <= share.cap
    assert cost.spent <= cost.cap
    assert cost.spent == sum(micro_usd(Decimal(row.cost or 0)) for row in rows)
    largest = {"tokens": 9_000, "micro_usd": 205_000}
    assert any(balance.room < largest[balance.unit] for balance in (tokens, share, cost)), "a cap was the limit"
