"""What is done about a vendor's failure, a row for each sentence."""

import math

import pytest

from pipeline.metering.vendor_errors import (
    FallBack,
    Park,
    Reaction,
    Stop,
    Tries,
    TryAgain,
    Unusable,
    Wait,
    react,
    with_fallback,
)
from stages.model import ErrorKind, ModelError

NOW, DEADLINE = 1_000.0, 1_300.0
FRESH = Tries()
FAILED = Tries(failed=1)
THROTTLED = {"rate_limit", "overloaded"}
Row = tuple[str, ErrorKind, float | None, Tries, type[Reaction] | Reaction]

ROWS: list[Row] = [
    ("a wrong key stops the run", "auth", None, FRESH, Stop),
    ("no credit stops the run", "billing", None, FRESH, Stop),
    ("no credit stops even with a time named", "billing", 5, FRESH, Stop),
    ("a bad request stops the run", "bad_request", None, FRESH, Stop),
    ("too large is unusable at once", "too_large", None, FRESH, Unusable()),
    ("a timeout gets one more try", "timeout", None, FRESH, TryAgain()),
    ("a second timeout is unusable", "timeout", None, FAILED, Unusable()),
    ("a protocol error gets one more try", "protocol", None, FRESH, TryAgain()),
    ("a second protocol error is unusable", "protocol", None, FAILED, Unusable()),
    ("a throttled call does not use up the tries", "timeout", None, Tries(throttled=9), TryAgain()),
    ("a server error waits for its second try", "server", None, FRESH, Wait(1.0)),
    ("a network error waits for its second try", "network", None, FRESH, Wait(1.0)),
    ("a server names its time", "server", 20, FRESH, Wait(20.0)),
    ("a second server error stops the run", "server", None, FAILED, Stop),
    ("a second network error stops the run", "network", 1, FAILED, Stop),
    ("a server's time beyond the deadline does not park", "server", 301, FRESH, Stop),
    ("a rate limit waits", "rate_limit", None, FRESH, Wait(1.0)),
    ("an overload waits", "overloaded", None, FRESH, Wait(1.0)),
    ("back-off doubles", "rate_limit", None, Tries(throttled=3), Wait(8.0)),
    ("back-off ends at a minute", "overloaded", None, Tries(throttled=40), Wait(60.0)),
    ("a rate limit outlasts failed tries", "rate_limit", None, Tries(failed=5), Wait(1.0)),
    ("Retry-After is honoured", "rate_limit", 42.5, Tries(throttled=9), Wait(42.5)),
    ("Retry-After of nothing is no tight loop", "rate_limit", 0, FRESH, Wait(1.0)),
    ("Retry-After just inside the deadline", "rate_limit", 299, FRESH, Wait(299.0)),
    ("a rate limit beyond the deadline parks", "rate_limit", 300, FRESH, Park(1_300.0)),
    ("an overload beyond the deadline parks", "overloaded", 7_200, FRESH, Park(8_200.0)),
    ("nonsense for a time is no time", "rate_limit", math.nan, FRESH, Wait(1.0)),
    ("an endless time is no time", "rate_limit", math.inf, FRESH, Wait(1.0)),
    ("a negative time is no time", "overloaded", -5, FRESH, Wait(1.0)),
]


@pytest.mark.parametrize(
    ("kind", "retry_after", "tries", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_reaction(
    kind: ErrorKind, retry_after: float | None, tries: Tries, expected: type[Reaction] | Reaction
) -> None:
    error = ModelError(kind, "no", retry_after=retry_after, generated=kind not in THROTTLED)
    reaction = react(error, tries=tries, now=NOW, deadline=DEADLINE)
    if isinstance(expected, type):
        assert isinstance(reaction, expected)
    else:
        assert reaction == expected


def test_back_off_without_a_named_time_past_the_deadline_is_an_outage_and_does_not_park() -> None:
    for kind in ("rate_limit", "overloaded", "server", "network"):
        reaction = react(ModelError(kind, "no"), tries=FRESH, now=DEADLINE - 1, deadline=DEADLINE)
        assert isinstance(reaction, Stop)


def test_jitter_takes_up_to_a_half_of_the_back_off_and_nothing_of_a_named_time() -> None:
    for jitter, seconds in ((0.0, 2.0), (0.5, 3.0), (1.0, 4.0)):
        throttled = ModelError("overloaded", "no", generated=False)
        assert react(throttled, tries=Tries(throttled=2), now=NOW, deadline=DEADLINE, jitter=jitter) == Wait(seconds)
        named = ModelError("overloaded", "no", retry_after=7)
        assert react(named, tries=FRESH, now=NOW, deadline=DEADLINE, jitter=jitter) == Wait(7.0)


def test_tries_count_what_may_have_been_paid_apart_from_throttling() -> None:
    tries = FRESH
    for kind in ("rate_limit", "overloaded", "timeout", "server", "network", "protocol"):
        tries = tries.after(ModelError(kind, "no", generated=kind not in THROTTLED))
    assert tries == Tries(failed=4, throttled=2)


@pytest.mark.parametrize("kind", ["rate_limit", "overloaded"])
def test_a_reply_that_was_throttled_in_its_middle_was_charged_so_it_is_tried_twice_like_any_other(
    kind: ErrorKind,
) -> None:
    error = ModelError(kind, "no", generated=True)
    first = react(error, tries=FRESH, now=NOW, deadline=DEADLINE)
    second = react(error, tries=FRESH.after(error), now=NOW, deadline=DEADLINE)
    assert (first, second) == (Wait(1.0), Stop("it failed 2 times"))
    assert with_fallback(second, error, now=NOW) == FallBack("it failed 2 times")
    beyond = ModelError(kind, "no", generated=True, retry_after=7_200)
    assert react(beyond, tries=FRESH.after(error), now=NOW, deadline=DEADLINE) == Park(8_200.0)


def test_a_vendor_that_refuses_the_content_makes_the_reply_unusable_and_stops_no_run() -> None:
    error = ModelError("bad_request", "against the rules", generated=False, refusal=True)
    assert react(error, tries=FRESH, now=NOW, deadline=DEADLINE) == Unusable()


FALLBACK_ROWS: list[Row] = [
    ("a second server error", "server", None, FAILED, FallBack("it failed 2 times")),
    ("a second network error", "network", None, FAILED, FallBack("it failed 2 times")),
    ("not the first", "server", None, FRESH, Wait(1.0)),
    ("a wait of 30 s is waited for", "rate_limit", 30, FRESH, Wait(30.0)),
    ("a longer one is not", "rate_limit", 30.5, FRESH, FallBack("the wait would be 30 s")),
    ("nor a back-off that became longer", "overloaded", None, Tries(throttled=5), FallBack("the wait would be 32 s")),
    ("nor one that would park", "overloaded", 7_200, FRESH, FallBack("the wait would be 7200 s")),
    ("a timeout is no outage", "timeout", None, FAILED, Unusable()),
    ("a protocol error is none", "protocol", None, FAILED, Unusable()),
    ("too large is none", "too_large", None, FRESH, Unusable()),
    ("a wrong key is none", "auth", None, FRESH, Stop("trying again cannot help")),
    ("no credit is none", "billing", None, FRESH, Stop("trying again cannot help")),
]


@pytest.mark.parametrize(
    ("kind", "retry_after", "tries", "expected"),
    [row[1:] for row in FALLBACK_ROWS],
    ids=[row[0] for row in FALLBACK_ROWS],
)
def test_the_reaction_where_a_fallback_is_left(
    kind: ErrorKind, retry_after: float | None, tries: Tries, expected: Reaction
) -> None:
    error = ModelError(kind, "no", retry_after=retry_after, generated=kind not in THROTTLED)
    reaction = react(error, tries=tries, now=NOW, deadline=DEADLINE)
    assert with_fallback(reaction, error, now=NOW) == expected
