"""What a call does that may not begin yet, a row for each sentence."""

import pytest

from pipeline.memory.pace import Lane, NotYet, Why
from pipeline.metering.hold_ups import LOOK_FOR_THE_DEAD, held_up
from pipeline.metering.vendor_errors import FallBack, Park, Reaction, Stop, Wait
from stages.model import ErrorKind

NOW, DEADLINE = 1_000.0, 1_300.0
LANE = Lane("anthropic", "opus", max_concurrency=2, requests_per_minute=50, tokens_per_minute=40_000)
TOKENS = "vendors.anthropic.tokens_per_minute"
Row = tuple[str, Why, float, ErrorKind | None, bool, type[Reaction] | Reaction]

ROWS: list[Row] = [
    ("a named time is waited for", "named", 20, "rate_limit", False, Wait(20.0)),
    ("a named time beyond the deadline parks", "named", 300, "overloaded", False, Park(1_300.0)),
    ("a wait of 30 s is no reason to fall back", "named", 30, "rate_limit", True, Wait(30.0)),
    ("a longer one is", "named", 31, "rate_limit", True, FallBack),
    ("and so is one that would park", "named", 18_000, "rate_limit", True, FallBack),
    ("a rest is waited for", "set_aside", 30, "server", False, Wait(30.0)),
    ("a rest beyond the deadline ends the run", "set_aside", 300, "server", False, Stop),
    ("a long rest falls back", "set_aside", 60, "network", True, FallBack),
    ("and one beyond the deadline too", "set_aside", 300, "overloaded", True, FallBack),
    ("a short rest does not", "set_aside", 30, "timeout", True, Wait(30.0)),
    ("whatever it failed with", "set_aside", 31, "timeout", True, FallBack),
    ("a probe is waited for", "probed", 9_999, "server", True, Wait(LOOK_FOR_THE_DEAD)),
    ("so is room", "max_concurrency", float("inf"), None, True, Wait(LOOK_FOR_THE_DEAD)),
    ("a rate is waited for", "tokens_per_minute", 200, None, False, Wait(200.0)),
    ("a rate is no outage", "requests_per_minute", 200, None, True, Wait(200.0)),
    ("a rate beyond the deadline parks", "tokens_per_minute", 301, None, True, Park(1_301.0, TOKENS)),
]


@pytest.mark.parametrize(
    ("why", "seconds", "kind", "may_fall_back", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_reaction(
    why: Why,
    seconds: float,
    kind: ErrorKind | None,
    may_fall_back: bool,  # noqa: FBT001 - a column of the table
    expected: type[Reaction] | Reaction,
) -> None:
    not_yet = NotYet(NOW + seconds, why, kind, failures=5)
    found = held_up(not_yet, LANE, now=NOW, deadline=DEADLINE, may_fall_back=may_fall_back)
    assert isinstance(found.reaction, expected) if isinstance(expected, type) else found.reaction == expected
    assert not found.error.generated


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("named", "it said that it answers again from 1970-01-01 00:20:00 UTC on"),
        ("set_aside", "it failed 5 times in a row and is set aside until 1970-01-01 00:20:00 UTC"),
        ("probed", "it failed 5 times in a row, and another call is finding out whether it is back"),
        ("max_concurrency", "vendors.anthropic.max_concurrency (2) calls are in flight"),
        ("tokens_per_minute", "vendors.anthropic.tokens_per_minute (40_000) is used up until 1970-01-01 00:20:00 UTC"),
    ],
)
def test_the_words(why: Why, words: str) -> None:
    found = held_up(NotYet(1_200.0, why, "server", 5), LANE, now=NOW, deadline=DEADLINE, may_fall_back=False)
    assert found.error.message == words
