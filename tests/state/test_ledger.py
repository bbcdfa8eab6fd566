"""The ledger charges every call, keeps every reply, and opens when a call does not fit."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.errors import BudgetOpenError, InfrastructureError
from pipeline.events import BreakerOpened, BreakerWarned, CallRefused, CallReserved, CallSettled
from pipeline.memory import scopes
from pipeline.memory.budget import Balance
from pipeline.memory.ledger import Reservation, Uncounted, Waiting
from pipeline.memory.transcript import load_reply, load_request
from stages.model import ModelError
from tests.fakes.model import request
from tests.state.seats import COST, RUN, SHARE, TOKENS, Desk, answered, desk, unanswered


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def test_a_call_is_held_then_charged_as_reported_in_every_scope(books: Desk) -> None:
    books.cap(tokens=100_000, cost=1_000_000, share=50_000)
    reservation = books.reserve()
    held = {balance.name: (balance.held, balance.spent) for balance in books.ledger.balances()}
    assert held == {TOKENS: (5_000, 0), COST: (105_000, 0), SHARE: (5_000, 0)}
    books.clock.advance(2.5)
    settlement = books.ledger.settle(reservation, answered(900, 100, cache_read=600))
    assert (settlement.tokens, settlement.overrun, settlement.cut) == (400, False, None)
    spent = {balance.name: (balance.held, balance.spent) for balance in books.ledger.balances()}
    assert spent == {TOKENS: (0, 400), COST: (0, 7_000), SHARE: (0, 400)}
    reserved, settled = [stored.event for stored in books.journal.events()]
    assert isinstance(reserved, CallReserved)
    assert isinstance(settled, CallSettled)
    assert (reserved.tokens, reserved.input_bound, reserved.cost) == (5_000, 1_000, "0.105")
    assert (settled.tokens, settled.cost, settled.stop, settled.seconds) == (400, "0.007000", "done", 2.5)
    assert reserved.key == settled.key == reservation.key


def test_a_stages_share_is_charged_for_that_stage_only(books: Desk) -> None:
    books.cap(tokens=100_000, share=6_000)
    books.reserve(stage="planner")
    books.reserve(stage="coder")
    assert (books.balance(TOKENS).held, books.balance(SHARE).held) == (10_000, 5_000)


def test_request_and_reply_are_kept_for_a_replay(books: Desk) -> None:
    books.cap(tokens=100_000)
    outcome = answered(900, 100)
    books.ledger.settle(books.reserve(), outcome)
    (row,) = books.ledger.calls()
    assert load_request(row.request, books.journal.get) == request()
    assert row.reply is not None
    assert load_reply(row.reply, books.journal.get) == outcome.reply
    assert (row.settled, row.state, row.cost, row.price) == (
        1_000,
        "settled",
        "0.007000",
        {"input": "5", "output": "25"},
    )
    assert row.usage == {
        "input": 900, "cache_read": 0, "cache_write": 0, "output": 100, "reasoning": 0, "source": "reported",
    }  # fmt: skip


def test_a_refused_call_gives_everything_back(books: Desk) -> None:
    books.cap(tokens=100_000, cost=1_000_000)
    reservation = books.reserve()
    books.ledger.release(reservation, ModelError("rate_limit", "slow down", generated=False))
    assert [(balance.held, balance.spent) for balance in books.ledger.balances()] == [(0, 0), (0, 0)]
    refused = books.journal.events()[-1].event
    assert isinstance(refused, CallRefused)
    assert (refused.error, refused.message, refused.tokens) == ("rate_limit", "slow down", 5_000)
    (row,) = books.ledger.calls()
    assert (row.state, row.settled, row.error) == ("released", 0, "rate_limit")


def test_each_try_has_its_own_row_and_key(books: Desk) -> None:
    books.cap(tokens=100_000)
    first, second = (books.ledger.reserve(books.ask(turn=7)) for _ in range(2))
    assert isinstance(first, Reservation)
    assert isinstance(second, Reservation)
    assert (first.try_number, second.try_number) == (1, 2)
    assert first.key != second.key
    assert [row.try_number for row in books.ledger.calls()] == [1, 2]


def test_the_key_does_not_depend_on_time_or_database(tmp_path: Path) -> None:
    keys: list[str] = []
    for name in ("one", "two"):
        with desk(tmp_path / name) as books:
            books.cap(tokens=100_000)
            books.clock.advance(len(keys) * 100)
            keys.append(books.reserve().key)
    assert keys[0] == keys[1]


def test_a_call_that_does_not_fit_opens_the_breaker_and_holds_nothing(books: Desk) -> None:
    books.cap(tokens=6_000, cost=1_000_000)
    books.ledger.settle(books.reserve(), answered(1_000, 3_500))
    with pytest.raises(BudgetOpenError, match=r"1,500 tokens left of 6,000 tokens.*raise limits\.tokens") as opened:
        books.reserve()
    assert opened.value.scope == TOKENS
    assert [balance.held for balance in books.ledger.balances()] == [0, 0]
    event = books.journal.events()[-1].event
    assert event == BreakerOpened(scope=TOKENS, reason="no_room", spent=4_500, held=0, cap=6_000, needed=2_024)


def test_after_opening_no_call_starts_not_even_a_small_one_of_another_stage(books: Desk) -> None:
    books.cap(tokens=100_000, share=2_000)
    with pytest.raises(BudgetOpenError, match=r"stages\.coder\.tokens"):
        books.reserve()
    with pytest.raises(BudgetOpenError, match="a call did not fit"):
        books.reserve(stage="reviewer", input_bound=10, output=10)
    assert books.kinds().count("breaker.opened") == 1
    assert books.kinds().count("call.reserved") == 0


def test_an_open_breaker_is_seen_by_another_process_and_after_a_restart(books: Desk, tmp_path: Path) -> None:
    books.cap(tokens=2_000)
    with pytest.raises(BudgetOpenError):
        books.reserve()
    with desk(tmp_path) as other:
        other.cap(tokens=2_000)
        with pytest.raises(BudgetOpenError):
            other.reserve(input_bound=10, output=10)


def test_a_call_in_flight_when_the_breaker_opens_is_recorded_and_kept(books: Desk) -> None:
    books.cap(tokens=10_000, share=6_000)
    running = books.reserve(stage="planner")
    with pytest.raises(BudgetOpenError):
        books.reserve(stage="coder", input_bound=5_500)
    books.ledger.settle(running, answered(900, 100))
    row = books.ledger.calls()[0]
    assert (row.state, row.settled) == ("settled", 1_000)
    assert row.reply is not None


def test_a_raised_cap_lets_the_run_go_on_and_what_was_spent_stays_spent(books: Desk) -> None:
    books.cap(tokens=6_000)
    books.ledger.settle(books.reserve(), answered(1_000, 3_500))
    with pytest.raises(BudgetOpenError):
        books.reserve()
    books.cap(tokens=6_000)
    with pytest.raises(BudgetOpenError):
        books.reserve()
    books.cap(tokens=20_000)
    books.reserve()
    assert books.balance() == Balance(TOKENS, "tokens", 20_000, held=5_000, spent=4_500)


def test_a_lowered_cap_never_goes_below_what_is_spent_and_does_not_reopen(books: Desk) -> None:
    books.cap(tokens=20_000)
    books.ledger.settle(books.reserve(), answered(1_000, 3_000))
    books.cap(tokens=9_000)
    assert books.balance().cap == 9_000
    books.cap(tokens=10)
    assert books.balance().cap == 4_000


def test_a_vendor_that_reports_more_than_was_reserved_is_charged_and_opens_every_scope(books: Desk) -> None:
    books.cap(tokens=100_000, cost=1_000_000, share=50_000)
    settlement = books.ledger.settle(books.reserve(), answered(9_000, 4_000))
    assert settlement.overrun
    assert books.balance().spent == 13_000
    assert books.ledger.calls()[0].overrun
    opened = [stored.event for stored in books.journal.events() if isinstance(stored.event, BreakerOpened)]
    assert {(event.scope, event.reason) for event in opened} == {(name, "overrun") for name in (TOKENS, COST, SHARE)}
    with pytest.raises(BudgetOpenError, match="a vendor reported more"):
        books.reserve(stage="planner", input_bound=10, output=10)


def test_a_reply_cut_at_a_shrunken_limit_opens_the_breaker_and_is_kept(books: Desk) -> None:
    books.cap(tokens=4_000)
    reservation = books.reserve()
    assert (reservation.max_output_tokens, reservation.shrunk_by) == (3_000, TOKENS)
    settlement = books.ledger.settle(reservation, answered(100, 3_000, stop="truncated"))
    assert isinstance(settlement.cut, BudgetOpenError)
    assert books.ledger.calls()[0].reply is not None
    assert books.kinds()[-1] == "breaker.opened"
    with pytest.raises(BudgetOpenError, match="cut"):
        books.reserve(input_bound=1, output=1)


def test_a_reply_cut_at_its_full_limit_opens_nothing(books: Desk) -> None:
    books.cap(tokens=100_000)
    assert books.ledger.settle(books.reserve(), answered(100, 4_000, stop="truncated")).cut is None
    books.reserve()


def test_the_warning_comes_once_per_scope_and_again_for_a_raised_cap(books: Desk) -> None:
    books.cap(tokens=6_000, share=100_000)
    for _ in range(3):
        books.ledger.release(books.reserve(), ModelError("overloaded", "busy", generated=False))
    warned = [stored.event for stored in books.journal.events() if isinstance(stored.event, BreakerWarned)]
    assert warned == [BreakerWarned(scope=TOKENS, spent=0, held=5_000, cap=6_000)]
    books.cap(tokens=6_200, share=100_000)
    books.reserve()
    assert books.kinds().count("breaker.warned") == 2


def test_a_call_waits_while_others_hold_what_it_needs_and_holds_nothing_itself(books: Desk) -> None:
    books.cap(tokens=8_000)
    first = books.reserve(lease=120)
    waiting = books.ledger.reserve(books.ask())
    assert isinstance(waiting, Waiting)
    assert waiting.seconds == 120
    assert books.balance().held == 5_000
    books.ledger.settle(first, answered(900, 100))
    assert books.reserve().max_output_tokens == 4_000


def test_a_call_that_does_not_fit_is_to_be_counted_before_it_waits_shrinks_or_opens(books: Desk) -> None:
    books.cap(tokens=8_000)
    first = books.reserve()
    for ask in (books.ask(), books.ask(output=2_200), books.ask(input_bound=90_000)):
        assert isinstance(books.ledger.reserve(replace(ask, countable=True)), Uncounted)
    assert books.kinds() == ["call.reserved"], "nothing is held, warned of or opened"
    books.ledger.settle(first, answered(900, 100))
    fits = books.ledger.reserve(books.ask(countable=True))
    assert isinstance(fits, Reservation)
    assert not fits.counted


def test_a_counted_call_is_decided_by_its_count_and_says_so(books: Desk) -> None:
    books.cap(tokens=80_000)
    counted = books.ledger.reserve(books.ask(input_bound=3_000, counted=True))
    assert isinstance(counted, Reservation)
    reserved = books.journal.events()[-1].event
    assert isinstance(reserved, CallReserved)
    assert (reserved.counted, reserved.input_bound, reserved.tokens) == (True, 3_000, 7_000)


def test_no_call_is_counted_once_the_breaker_is_open(books: Desk) -> None:
    books.cap(tokens=2_000)
    with pytest.raises(BudgetOpenError):
        books.ledger.reserve(books.ask())
    with pytest.raises(BudgetOpenError):
        books.ledger.reserve(books.ask(countable=True))


def test_open_reservations_count_as_spent_at_a_resume(books: Desk) -> None:
    books.cap(tokens=100_000, cost=1_000_000)
    books.reserve()
    books.reserve(stage="reviewer")
    assert books.ledger.expire_open("the runner was killed") == 2
    assert [(balance.held, balance.spent) for balance in books.ledger.balances()] == [(0, 210_000), (0, 10_000)]
    assert [(row.state, row.settled, row.cost) for row in books.ledger.calls()] == [("expired", 5_000, "0.105")] * 2
    settled = books.journal.events()[-1].event
    assert isinstance(settled, CallSettled)
    assert (settled.error, settled.usage["source"]) == ("the runner was killed", "reserved")
    assert books.ledger.expire_open("again") == 0


def test_a_reservation_whose_lease_ran_out_counts_as_spent_and_nobody_waits_for_it(books: Desk) -> None:
    books.cap(tokens=8_000)
    lost = books.reserve(lease=60)
    books.clock.advance(61)
    assert books.reserve().max_output_tokens == 2_000
    assert (books.balance().held, books.balance().spent) == (3_000, 5_000)
    late = books.ledger.settle(lost, answered(900, 100))
    assert late.tokens == 5_000
    assert (books.balance().held, books.balance().spent) == (3_000, 5_000)
    assert books.ledger.calls()[0].reply is not None
    books.ledger.release(books.reserve(input_bound=0, output=0), ModelError("overloaded", "busy", generated=False))


def test_a_late_answer_beyond_its_reservation_is_charged_in_full(books: Desk) -> None:
    books.cap(tokens=100_000)
    lost = books.reserve(lease=60)
    books.clock.advance(61)
    books.reserve()
    assert books.ledger.settle(lost, answered(9_000, 1_000)).overrun
    assert books.balance().spent == 10_000


def test_a_release_after_the_lease_changes_nothing(books: Desk) -> None:
    books.cap(tokens=100_000)
    lost = books.reserve(lease=60)
    books.clock.advance(61)
    books.reserve()
    books.ledger.release(lost, ModelError("overloaded", "busy", generated=False))
    assert books.balance().spent == 5_000


def test_the_database_itself_refuses_to_hold_more_than_fits(books: Desk) -> None:
    books.cap(tokens=9_000, share=4_999)
    with pytest.raises(AssertionError, match="in all its scopes"), books.store.begin() as connection:
        scopes.hold(connection, [TOKENS, SHARE], {"tokens": 5_000})
    assert [balance.held for balance in books.ledger.balances()] == [0, 0]


def test_without_a_cap_no_call_is_allowed(books: Desk) -> None:
    with pytest.raises(InfrastructureError, match="no cap"):
        books.reserve()


def test_totals_add_up_calls_usage_and_scopes(books: Desk) -> None:
    books.cap(tokens=100_000, cost=1_000_000)
    books.ledger.settle(books.reserve(), answered(900, 100, cache_read=600))
    lost = books.reserve()
    books.ledger.settle(lost, unanswered(lost, "timeout"))
    books.reserve()
    assert books.ledger.totals() == {
        "calls": 3,
        "usage": {
            "input": 1_900, "cache_read": 600, "cache_write": 0, "output": 4_100, "reasoning": 0,
            "counted": 5_400, "cap": 100_000,
        },
        "cost": "0.112000",
        "scopes": {
            COST: {"unit": "micro_usd", "cap": 1_000_000, "held": 105_000, "spent": 112_000},
            TOKENS: {"unit": "tokens", "cap": 100_000, "held": 5_000, "spent": 5_400},
        },
    }  # fmt: skip
    assert Decimal(str(books.ledger.totals()["cost"])) * 1_000_000 == books.balance(COST).spent


def test_row_and_event_are_one_transaction(books: Desk, tmp_path: Path) -> None:
    books.cap(tokens=100_000)
    reservation = books.reserve()

    with sqlite3.connect(tmp_path / "state.sqlite") as raw:
        raw.execute("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    raw.close()
    with pytest.raises(InfrastructureError, match="disk full"):
        books.ledger.settle(reservation, answered(900, 100))
    assert [row.state for row in books.ledger.calls()] == ["held"]
    assert (books.balance().held, books.balance().spent) == (5_000, 0)


def test_other_runs_calls_are_not_this_runs(books: Desk) -> None:
    books.cap(tokens=100_000)
    books.reserve()
    assert {stored.run_id for stored in books.journal.events()} == {RUN}
    books.journal.run_id = "another"
    assert type(books.ledger)(books.store, books.journal).calls() == []
