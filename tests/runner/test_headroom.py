"""A cap a little above what a run really uses lets it complete: what is reserved in vain does not starve it."""

import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.runner.usual_run import GENEROUS, Account, Team, usual_run

HEADROOM = 4_000
THREE_VENDORS = Team(("anthropic", "claude-opus-5-5"), ("openai", "gpt-6.1-sol"), ("google", "gemini-3.8-flash"))
CLAUDE = [("anthropic", f"claude-{name}") for name in ("opus-5-5", "sonnet-5-5", "fable-5-2")]
ONE_VENDOR = Team(*CLAUDE)
TEAMS = [THREE_VENDORS, ONE_VENDOR]


@cache
def capped(team: Team, cap: int = GENEROUS, *, counting: bool = True) -> Account:
    """Return how the run ends with so many tokens."""
    with tempfile.TemporaryDirectory(prefix="headroom-") as folder:
        return usual_run(Path(folder), team, cap, counting=counting)


def vendors(team: Team) -> str:
    return " ".join(dict.fromkeys(vendor for vendor, _ in (team.planner, team.coder, team.reviewer)))


@pytest.mark.parametrize("team", TEAMS, ids=vendors)
def test_the_run_has_usual_proportions(team: Team) -> None:
    free = capped(team)
    assert free.status == "solved"
    assert sum(call.stage == "coder" for call in free.settled) > 10
    assert free.used > 30_000
    assert sum(call.usage["cache_read"] for call in free.settled) > free.used, "most input is read from the cache"
    assert not [call for call in free.reserved if call.counted or call.shrunken]


@pytest.mark.parametrize("team", TEAMS, ids=vendors)
def test_its_use_its_longest_prompt_and_4000_tokens_are_enough(team: Team) -> None:
    free = capped(team)
    tight = capped(team, free.used + free.longest_prompt + HEADROOM)
    assert (tight.status, tight.used) == ("solved", free.used)
    assert [call for call in tight.reserved if call.counted]


@pytest.mark.parametrize("team", TEAMS, ids=vendors)
def test_three_tenths_more_than_its_use_are_enough(team: Team) -> None:
    free = capped(team)
    tight = capped(team, free.used * 13 // 10)
    assert (tight.status, tight.used) == ("solved", free.used)


def test_its_use_alone_is_not_enough() -> None:
    """Without this the tests above would prove nothing."""
    free = capped(THREE_VENDORS)
    assert capped(THREE_VENDORS, free.used).status == "budget_stop"


def test_it_is_the_counting_that_makes_three_tenths_enough() -> None:
    free = capped(THREE_VENDORS)
    assert capped(THREE_VENDORS, free.used * 13 // 10, counting=False).status == "budget_stop"
