"""The breaker's rules, a row for each sentence."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.memory.budget import (
    FRAMING,
    LEAST_OUTPUT,
    Balance,
    Grant,
    Hold,
    Need,
    Open,
    charges,
    config_key,
    counted_bound,
    crosses_warning,
    decide,
    input_bound,
    is_plausible,
    micro_usd,
    most_output,
    run_scope,
    usd_text,
)
from stages.model import Usage


def dear(input_tokens: int, output_tokens: int) -> Decimal:
    """Return a price of $5 and $25 per million tokens, doubled above 200,000 input tokens."""
    factor = 2 if input_tokens > 200_000 else 1
    return factor * (input_tokens * Decimal("0.000005") + output_tokens * Decimal("0.000025"))


def tokens(cap: int, *, held: int = 0, spent: int = 0, name: str = "run/r/tokens") -> Balance:
    return Balance(name, "tokens", cap, held=held, spent=spent)


def money(cap: int, *, held: int = 0, spent: int = 0, name: str = "run/r/cost") -> Balance:
    return Balance(name, "micro_usd", cap, held=held, spent=spent)


NEED = Need(input_bound=1_000, max_output_tokens=4_000, ceiling=dear)  # 5,000 tokens, 105,000 micro-USD
SHARE = "run/r/coder/tokens"

DECISIONS = [
    ("fits exactly", NEED, [tokens(5_000)], Grant(4_000)),
    ("fits beside what is spent and held", NEED, [tokens(9_000, held=2_000, spent=2_000)], Grant(4_000)),
    ("fits in every scope", NEED, [tokens(5_000), money(105_000), tokens(6_000, name=SHARE)], Grant(4_000)),
    ("one token short, so shrunken", NEED, [tokens(4_999)], Grant(3_999, shrunk_by="run/r/tokens")),
    ("shrunken to the least that is useful", NEED, [tokens(2_024)], Grant(1_024, shrunk_by="run/r/tokens")),
    ("less is of no use, so open", NEED, [tokens(2_023)], Open(tokens(2_023), 2_024)),
    ("shrunken by the tightest scope", NEED, [tokens(4_000), tokens(3_000, name=SHARE)], Grant(2_000, SHARE)),
    ("shrunken by money", NEED, [tokens(9_999), money(55_000)], Grant(2_000, shrunk_by="run/r/cost")),
    ("money left for too little", NEED, [tokens(9_999), money(30_599)], Open(money(30_599), 30_600)),
    (
        "a share may be the one that opens",
        NEED,
        [tokens(9_999), tokens(9, name=SHARE)],
        Open(tokens(9, name=SHARE), 2_024),
    ),
    ("waits for others before it shrinks", NEED, [tokens(7_000, held=2_500)], Hold("run/r/tokens")),
    ("waits where it could not even shrink now", NEED, [tokens(5_000, held=4_500)], Hold("run/r/tokens")),
    ("no wait for what is spent", NEED, [tokens(7_000, spent=2_500)], Grant(3_500, shrunk_by="run/r/tokens")),
    ("no wait that cannot help", NEED, [tokens(2_000, held=500)], Open(tokens(2_000, held=500), 2_024)),
    (
        "no wait when it helps in one scope only; the other one opens",
        NEED,
        [tokens(5_000, held=4_000), tokens(2_000, name=SHARE)],
        Open(tokens(2_000, name=SHARE), 2_024),
    ),
    (
        "waits when others hold in one scope and the other has some room",
        NEED,
        [tokens(5_000, held=4_000), tokens(3_000, name=SHARE)],
        Hold("run/r/tokens"),
    ),
    ("a small wish is granted in full", Need(10, 100), [tokens(110)], Grant(100)),
    ("a small wish is not shrunken", Need(10, 100), [tokens(109)], Open(tokens(109), 110)),
    ("what has no price fits no money", Need(10, 100), [tokens(999), money(10**9)], Open(money(10**9), 0)),
    ("an overspent scope opens", NEED, [tokens(5_000, spent=6_000)], Open(tokens(5_000, spent=6_000), 2_024)),
]


@pytest.mark.parametrize(
    ("need", "balances", "expected"), [row[1:] for row in DECISIONS], ids=[row[0] for row in DECISIONS]
)
def test_whether_a_call_may_start(need: Need, balances: list[Balance], expected: Grant | Hold | Open) -> None:
    assert decide(need, balances) == expected


BALANCES = st.lists(
    st.builds(
        Balance,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["tokens", "micro_usd"]),
        st.integers(0, 200_000),
        st.integers(0, 50_000),
        st.integers(0, 150_000),
    ),
    min_size=1,
    max_size=4,
)
NEEDS = st.builds(Need, st.integers(0, 50_000), st.integers(1, 64_000), st.just(dear))


@given(NEEDS, BALANCES)
def test_a_grant_always_fits_in_every_scope_and_is_the_most_that_does(need: Need, balances: list[Balance]) -> None:
    decision = decide(need, balances)
    if isinstance(decision, Grant):
        output = decision.max_output_tokens
        assert all(need.fits(output, balance.unit, balance.room) for balance in balances)
        assert need.least_output <= output <= need.max_output_tokens
        assert (decision.shrunk_by is None) == (output == need.max_output_tokens)
        if decision.shrunk_by:
            assert not all(need.fits(output + 1, balance.unit, balance.room) for balance in balances)


@given(NEEDS, BALANCES)
def test_nobody_waits_for_nothing_and_nothing_opens_that_could_start(need: Need, balances: list[Balance]) -> None:
    decision = decide(need, balances)
    least = need.least_output
    if isinstance(decision, Hold):
        assert any(balance.name == decision.scope and balance.held for balance in balances)
        assert all(need.fits(least, balance.unit, balance.room + balance.held) for balance in balances)
    if isinstance(decision, Open):
        assert not all(need.fits(least, balance.unit, balance.room) for balance in balances)
        assert not need.fits(least, decision.balance.unit, decision.balance.room)


@given(NEEDS, st.integers(-10, 400_000))
def test_the_most_output_is_the_most(need: Need, cap: int) -> None:
    for balance in (tokens(cap), money(cap)):
        output = most_output(need, balance)
        assert output == -1 or need.fits(output, balance.unit, balance.room)
        assert output == need.max_output_tokens or not need.fits(output + 1, balance.unit, balance.room)


REPORTED = Usage(input=10_000, cache_read=9_000, output=500)
BOUNDS = [
    ("a first call: its bytes", 40_000, None, 0, 40_000 + FRAMING),
    ("an extension: what was reported", 40_000, REPORTED, 3_000, 10_000 + 500 + 3_000 + FRAMING),
    ("an extension with a small request", 12_000, REPORTED, 3_000, 12_000 + FRAMING),
    ("reserved figures bound nothing", 40_000, Usage(1, output=1, source="reserved"), 3_000, 40_000 + FRAMING),
    ("estimated figures bound nothing", 40_000, Usage(1, output=1, source="estimated"), 3_000, 40_000 + FRAMING),
    ("missing figures bound nothing", 40_000, Usage(), 3_000, 40_000 + FRAMING),
    ("absurd figures bound nothing", 40_000, Usage(input=5, cache_read=6, output=1), 3_000, 40_000 + FRAMING),
]


@pytest.mark.parametrize(
    ("request_bytes", "previous", "appended", "expected"), [row[1:] for row in BOUNDS], ids=[row[0] for row in BOUNDS]
)
def test_the_input_bound(request_bytes: int, previous: Usage | None, appended: int, expected: int) -> None:
    assert input_bound(request_bytes, previous=previous, appended_bytes=appended) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(30_000, 30_000 + FRAMING), (99_000, 100_000), (None, 100_000), (0, 100_000), (-5, 100_000)],
)
def test_a_count_only_ever_narrows_the_bound(count: int | None, expected: int) -> None:
    assert counted_bound(100_000, count) == expected


def test_a_count_below_what_was_reported_before_is_not_believed() -> None:
    assert counted_bound(100_000, 3_000, 40_000) == 40_000 + FRAMING
    assert counted_bound(100_000, 50_000, 40_000) == 50_000 + FRAMING
    assert counted_bound(100_000, None, 40_000) == 100_000


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(input=-1, output=5),
        Usage(input=10, output=-5),
        Usage(input=10, cache_read=-1, output=5),
        Usage(input=10, cache_read=6, cache_write=5, output=5),
        Usage(input=10, output=5, reasoning=-1),
        Usage(input=10, output=5, source="reserved"),
    ],
)
def test_missing_and_absurd_usage_is_not_believed(usage: Usage) -> None:
    assert not is_plausible(usage)


def test_ordinary_usage_is_believed() -> None:
    assert is_plausible(Usage(input=10, cache_read=6, cache_write=4, output=5, reasoning=5))
    assert is_plausible(Usage(input=10, output=5, source="estimated"))


def test_the_unit_is_input_without_cache_reads_plus_output() -> None:
    assert Usage(input=10, cache_read=6, cache_write=4, output=5, reasoning=3).counted == 9


def test_money_is_rounded_up_and_shown_exactly() -> None:
    assert [micro_usd(Decimal(amount)) for amount in ("0", "0.0000001", "1", "1.0000011")] == [
        0,
        1,
        1_000_000,
        1_000_002,
    ]
    assert usd_text(1_000_002) == "1.000002"


@pytest.mark.parametrize(
    ("spent", "held", "warned"), [(79, 0, False), (80, 0, True), (0, 80, True), (40, 40, True), (0, 0, False)]
)
def test_the_warning_comes_at_80_percent(spent: int, held: int, warned: bool) -> None:  # noqa: FBT001 - a table's column
    assert crosses_warning(tokens(100, spent=spent, held=held)) is warned


def test_scopes_nest_and_name_their_configuration_key() -> None:
    names = {
        run_scope("r", "tokens"): "limits.tokens",
        run_scope("r", "micro_usd"): "limits.cost",
        run_scope("r", "tokens", "coder"): "stages.coder.tokens",
        run_scope("r", "micro_usd", "coder"): "stages.coder.cost",
    }
    assert {name: config_key(name) for name in names} == names
    assert list(names) == ["run/r/tokens", "run/r/cost", "run/r/coder/tokens", "run/r/coder/cost"]
    assert all(charges(name, "r", "coder") for name in names)
    assert [charges(name, "r", "planner") for name in names] == [True, True, False, False]


def test_least_output_is_what_the_documents_say() -> None:
    assert (LEAST_OUTPUT, FRAMING) == (1_024, 2_048)
