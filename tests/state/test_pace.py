"""When a call may begin and when a vendor is set aside, a row for each sentence."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.memory.pace import (
    FIRST_REST,
    LONGEST_REST,
    MINUTE,
    MOST_FAILURES,
    Clear,
    Health,
    Lane,
    Named,
    NotYet,
    Traffic,
    answered,
    failed,
    later,
    probing,
    returned,
    turn,
    unheard,
)

NOW = 1_000.0
FREE = Lane("anthropic", "opus")
BOUND = replace(FREE, max_concurrency=2, requests_per_minute=60, tokens_per_minute=60_000)
ASIDE = Health(MOST_FAILURES, NOW + 30, "server")
BACK = replace(ASIDE, until=NOW)
PROBED = replace(BACK, probing="key", probe_ends=NOW + 90)

ROWS = [
    ("a lane without limits is clear", FREE, Traffic(in_flight=99, requests_at=9e9, tokens_at=9e9), Clear()),
    ("one with room is clear", BOUND, Traffic(in_flight=1, requests_at=NOW, tokens_at=NOW), Clear()),
    ("calls in flight fill it", BOUND, Traffic(in_flight=2), NotYet(float("inf"), "max_concurrency")),
    ("requests come one after another", BOUND, Traffic(requests_at=NOW + 1), NotYet(NOW + 1, "requests_per_minute")),
    ("tokens too", BOUND, Traffic(tokens_at=NOW + 7), NotYet(NOW + 7, "tokens_per_minute")),
    (
        "a time the vendor named is waited for",
        FREE,
        Traffic(named=Named(NOW + 5, "overloaded")),
        NotYet(NOW + 5, "named", "overloaded"),
    ),
    ("a time that has come is not", FREE, Traffic(named=Named(NOW)), Clear()),
    ("failures in a row", FREE, Traffic(health=ASIDE), NotYet(NOW + 30, "set_aside", "server", MOST_FAILURES)),
    ("one call probes after the rest", FREE, Traffic(health=BACK), Clear(probes=True)),
    ("while the others wait", FREE, Traffic(health=PROBED), NotYet(NOW + 90, "probed", "server", MOST_FAILURES)),
    ("a probe lost with its process", FREE, Traffic(health=replace(PROBED, probe_ends=NOW)), Clear(probes=True)),
    ("a few failures set nobody aside", FREE, Traffic(health=Health(MOST_FAILURES - 1)), Clear()),
]  # fmt: skip


@pytest.mark.parametrize(("lane", "traffic", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_turn(lane: Lane, traffic: Traffic, expected: Clear | NotYet) -> None:
    assert turn(lane, traffic, now=NOW) == expected


def test_a_call_that_insists_asks_in_spite_of_a_named_time_but_not_of_a_rest() -> None:
    named = Traffic(named=Named(NOW + 500))
    assert turn(FREE, named, now=NOW, insists=True) == Clear()
    assert isinstance(turn(FREE, replace(named, health=ASIDE), now=NOW, insists=True), NotYet)


def test_the_fifth_failure_in_a_row_sets_aside_and_each_failed_probe_twice_as_long() -> None:
    health, now, rests = Health(), NOW, []
    for _ in range(MOST_FAILURES + 6):
        health = failed(probing(health, "key", now + 9), "overloaded", key="key", now=now)
        rests.append(max(0.0, health.until - now))
        now = max(now, health.until)
    doubled = [FIRST_REST * 2**n for n in range(5)]
    assert rests == [0.0] * (MOST_FAILURES - 1) + doubled + [LONGEST_REST, LONGEST_REST]


def test_calls_that_were_under_way_when_the_rest_began_do_not_lengthen_it() -> None:
    assert failed(ASIDE, "server", key="late", now=NOW) == ASIDE
    assert failed(BACK, "server", key="later", now=NOW) == BACK
    assert failed(PROBED, "timeout", key="latest", now=NOW + 1) == PROBED


def test_any_answer_ends_the_count_and_a_lost_probe_lets_another_one_go() -> None:
    assert answered(PROBED) == Health()
    assert unheard(PROBED, "key") == BACK
    assert unheard(PROBED, "other") == PROBED
    assert probing(BACK, "key", NOW + 90) == PROBED


@given(
    per_minute=st.integers(1, 10_000),
    calls=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5_000), st.floats(0, 1)), max_size=60),
)
def test_no_minute_holds_more_than_the_limit_and_one_call(
    per_minute: int, calls: list[tuple[float, int, float]]
) -> None:
    """Each call is (idle seconds before it, tokens reserved, share of them really used); it is over at once."""
    now, on_time = NOW, 0.0
    begun: list[tuple[float, float]] = []
    for idle, tokens, share in calls:
        now = max(now + idle, on_time)
        on_time = later(on_time, tokens, per_minute, now=now)
        used = tokens * share
        begun.append((now, used))
        on_time = returned(on_time, tokens - used, per_minute)
    largest = max((used for _, used in begun), default=0.0)
    for start, _ in begun:
        within = sum(used for at, used in begun if start <= at < start + MINUTE)
        assert within <= per_minute + largest + 1e-3
