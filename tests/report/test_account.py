from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import AttemptStarted, RunEnded, RunResumed
from pipeline.reporting.account import account, decimal_text, spending, working_seconds
from tests.report.story import CALLS, FIRST, JUDGED, PLAN, SECOND, SOLVED, TO_FIRST_ATTEMPT, call, stopped, stored

STARTS = (PLAN, FIRST, SECOND, JUDGED)


def test_attempts_are_listed_by_stage_with_what_their_calls_came_to() -> None:
    told = account(stored(SOLVED), CALLS)
    assert [(a.started.stage, a.started.number, a.spending.calls, a.spending.counted) for a in told.attempts] == [
        ("planner", 1, 1, 1000),
        ("coder", 1, 2, 2000),
        ("coder", 2, 1, 3000),
        ("reviewer", 1, 1, 1000),
    ]
    assert told.spending.cost == Decimal("0.18")


def test_an_attempt_under_way_has_no_ending() -> None:
    told = account(stored([*TO_FIRST_ATTEMPT, SECOND]), ())
    assert told.of("coder")[-1].ended is None
    assert told.ended is None


def test_a_call_without_a_price_makes_the_cost_unknown_and_only_there() -> None:
    told = account(stored(SOLVED), [*CALLS, call(SECOND, 1, cost=None)])
    assert told.spending.cost is None
    assert told.of("coder")[1].spending.cost is None
    assert told.of("coder")[0].spending.cost == Decimal("0.04")


def test_a_refused_call_is_an_error_that_cost_nothing() -> None:
    refused = call(FIRST, 2, settled=0, state="released", usage={}, cost=None, error="overloaded")
    spent = spending([*CALLS, refused])
    assert (spent.calls, spent.errors, spent.counted, spent.cost) == (6, 1, 7000, Decimal("0.18"))


def test_an_open_call_counts_as_a_call_and_charges_nothing_yet() -> None:
    spent = spending([call(FIRST, 0, settled=None, state="held", usage={}, cost=None)])
    assert (spent.calls, spent.counted, spent.cost) == (1, 0, Decimal(0))


def test_the_first_of_several_endings_counts() -> None:
    events = [*TO_FIRST_ATTEMPT, stopped(), RunEnded(status="cancelled", reason="too late")]
    told = account(stored(events), ())
    assert told.ended is not None
    assert told.ended.status == "budget_stop"


def test_time_between_an_ending_and_a_resume_counts_nowhere() -> None:
    before = stored([*TO_FIRST_ATTEMPT, stopped()])
    events = [*TO_FIRST_ATTEMPT, stopped(), RunResumed(config="", config_hash=""), SECOND]
    after = stored(events)
    assert working_seconds(after) == pytest.approx(working_seconds(before) + 2.0)


@given(st.lists(st.tuples(st.sampled_from(STARTS), st.integers(0, 50_000), st.decimals(0, 5, places=6)), max_size=30))
def test_attempts_models_and_the_whole_add_up_to_the_same(calls: list[tuple[AttemptStarted, int, Decimal]]) -> None:
    rows = [call(start, turn, counted=tokens, cost=str(cost)) for turn, (start, tokens, cost) in enumerate(calls)]
    told = account(stored(SOLVED), rows)
    for parts in ([a.spending for a in told.attempts], [m.spending for m in told.models]):
        assert sum(part.counted for part in parts) == told.spending.counted
        assert sum(part.cost or 0 for part in parts) == told.spending.cost
        assert sum(part.usage["output"] for part in parts) == told.spending.usage["output"]


@pytest.mark.parametrize(
    ("amount", "text"), [("0", "0"), ("0.000001", "0.000001"), ("1E-7", "0.0000001"), ("2.500", "2.5"), ("1E+2", "100")]
)
def test_costs_are_exact_decimal_strings(amount: str, text: str) -> None:
    assert decimal_text(Decimal(amount)) == text
