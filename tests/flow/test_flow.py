"""Every rule of a run as a row: what happened, and what comes next."""

import pytest

from pipeline.steps import EndRun, RunAttempt
from tests.flow.play import make_settings, play, text

ATTEMPTS_AND_RUNGS = [
    ("the planner comes first", {}, "", "planner #1 rung 1"),
    ("a passed planner hands over to the coder", {}, "planner a", "coder a #1 rung 1"),
    (
        "a stage has 1 + retry_budget attempts",
        {"coder": (2, 1)},
        "planner a; coder a red; coder a red",
        "coder a #3 rung 1",
    ),
    ("then it is exhausted", {"coder": (1, 1)}, "planner a; coder a red; coder a red", "end unsolved coder a"),
    ("no retry at all", {"coder": (0, 1)}, "planner a; coder a red", "end unsolved coder a"),
    ("a rejection consumes a retry", {"coder": (1, 2)}, "planner a; coder a rejected", "coder a #2 rung 2"),
    ("red checks consume a retry", {"coder": (1, 2)}, "planner a; coder a red", "coder a #2 rung 2"),
    ("an unusable reply consumes a retry", {"coder": (1, 2)}, "planner a; coder a unusable", "coder a #2 rung 2"),
    ("the timeout consumes a retry", {"coder": (1, 2)}, "planner a; coder a timed_out", "coder a #2 rung 2"),
    ("no progress consumes a retry", {"coder": (1, 2)}, "planner a; coder a no_progress", "coder a #2 rung 2"),
    ("a stopped attempt consumes none", {"coder": (1, 2)}, "planner a; coder a stopped", "coder a #2 rung 1"),
    (
        "numbers count starts, rungs count retries",
        {"coder": (2, 3)},
        "planner a; coder a stopped; coder a red; coder a stopped",
        "coder a #4 rung 2",
    ),
    ("the last rung repeats", {"coder": (3, 2)}, "planner a; coder a red; coder a red", "coder a #3 rung 2"),
    (
        "the coder's attempts count per item",
        {"coder": (1, 2)},
        "planner a b; coder a red; coder a passed",
        "coder b #1 rung 1",
    ),
    ("the planner retries on its next rung", {"planner": (1, 2)}, "planner rejected", "planner #2 rung 2"),
    ("an exhausted planner ends the run", {"planner": (0, 1)}, "planner unusable", "end unsolved planner"),
    ("a clarification asks a human", {}, "planner clarify", "end needs_human planner"),
    (
        "a clarification consumes nothing",
        {"planner": (0, 1)},
        "planner clarify; end; resume with advice",
        "planner #2 rung 1",
    ),
]
FALLBACK = [
    (
        "an outage restarts the attempt on its fallback, by the same number, with the time it had left",
        {"coder": (1, 2), "fallbacks": 1},
        "planner a; coder a red; coder a outage",
        "coder a #2 rung 2 fallback 1, 40 s",
    ),
    (
        "and then on the next one",
        {"fallbacks": 2},
        "planner outage; planner outage",
        "planner #1 rung 1 fallback 2, 20 s",
    ),
    (
        "what the fallback makes of it counts as the attempt",
        {"coder": (1, 2), "fallbacks": 1},
        "planner a; coder a outage; coder a red",
        "coder a #2 rung 2",
    ),
    (
        "a fallback holds for its attempt alone",
        {"coder": (1, 1), "fallbacks": 1},
        "planner a b; coder a outage; coder a passed",
        "coder b #1 rung 1",
    ),
    (
        "an outage consumes nothing",
        {"coder": (0, 1), "fallbacks": 1},
        "planner a; coder a outage; coder a stopped",
        "coder a #2 rung 1",
    ),
    (
        "a debugger on its fallback has the same routes on offer",
        {"coder": (0, 1), "debugger": (0, 1), "fallbacks": 1},
        "planner a; coder a red; debugger a outage; debugger a -> coder",
        "coder a #2 rung 1",
    ),
    (
        "an attempt a process died in goes on with its fallback",
        {"fallbacks": 1},
        "planner outage; resume",
        "planner #1 rung 1 fallback 1, 40 s",
    ),
]
ITEMS = [
    ("items run in dependency order", {}, "planner b<a a", "coder a #1 rung 1"),
    ("ties run in manifest order", {}, "planner b a", "coder b #1 rung 1"),
    ("accepted items stay accepted", {}, "planner a b; coder a passed; coder b red", "coder b #2 rung 1"),
    ("without a reviewer the last item solves", {}, "planner a; coder a passed", "end solved"),
    (
        "a later item's failure ends the run too",
        {"coder": (0, 1)},
        "planner a b; coder a passed; coder b red",
        "end unsolved coder b",
    ),
]
REPLAN = [
    ("request_scope is one planner attempt", {"planner": (1, 1)}, "planner a; coder a scope", "planner #2 rung 1"),
    (
        "a passed attempt is consumed by the next one",
        {"planner": (1, 2)},
        "planner a; coder a scope",
        "planner #2 rung 2",
    ),
    (
        "request_scope consumes no coder attempt",
        {"planner": (1, 1), "coder": (1, 2)},
        "planner a; coder a scope; planner a",
        "coder a #2 rung 1",
    ),
    (
        "a kept item has its remaining attempts",
        {"planner": (1, 1), "coder": (1, 2)},
        "planner a; coder a red; coder a scope; planner a; coder a red",
        "end unsolved coder a",
    ),
    (
        "a new id has one attempt",
        {"planner": (1, 1), "coder": (3, 2)},
        "planner a; coder a scope; planner n; coder n red",
        "end unsolved coder n",
    ),
    (
        "a new id starts on the coder's last rung",
        {"planner": (1, 1), "coder": (3, 3)},
        "planner a; coder a scope; planner n",
        "coder n #1 rung 3",
    ),
    (
        "a rejected re-plan is tried again while attempts last",
        {"planner": (2, 1)},
        "planner a; coder a scope; planner rejected",
        "planner #3 rung 1",
    ),
    (
        "if every re-plan fails the coder starts again",
        {"planner": (1, 1)},
        "planner a; coder a scope; planner rejected",
        "coder a #2 rung 1",
    ),
    (
        "a re-plan that fails opens no second case",
        {"planner": (1, 1), "debugger": (1, 1)},
        "planner a; coder a scope; planner rejected",
        "coder a #2 rung 1",
    ),
    (
        "accepted items survive a re-plan",
        {"planner": (1, 1)},
        "planner a b; coder a passed; coder b scope; planner c",
        "coder c #1 rung 1",
    ),
    (
        "a re-plan may ask a human",
        {"planner": (1, 1)},
        "planner a; coder a scope; planner clarify",
        "end needs_human planner",
    ),
]
REPLAN += [
    (
        "a refused request in an extra attempt starts it again on the last rung",
        {"planner": (1, 1), "coder": (0, 3), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> coder; coder a scope; planner rejected",
        "coder a #3 rung 3",
    ),
    (
        "which is that attempt again, so its failure fails the route",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (1, 1)},
        "planner a; coder a red; debugger a -> coder; coder a scope; planner rejected; coder a red",
        "debugger a #2 rung 1",
    ),
    (
        "a re-plan that a human helped and that fails refuses the scope all the same",
        {"planner": (1, 1), "debugger": (1, 1)},
        "planner a; coder a scope; planner clarify; end; resume with advice; planner rejected",
        "coder a #2 rung 1",
    ),
    (
        "and so it fails a route",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (1, 1)},
        ("planner a; coder a red; debugger a -> planner; planner clarify; end; resume with advice; planner rejected"),
        "debugger a #2 rung 1",
    ),
    (
        "an id of an earlier plan that comes back is no new one",
        {"planner": (2, 1), "coder": (2, 1)},
        "planner a b; coder a scope; planner b; coder b scope; planner a; coder a red",
        "coder a #3 rung 1",
    ),
]
DEBUGGER = [
    (
        "the debugger attaches to an exhausted stage with evidence",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red",
        "debugger a #1 rung 1",
    ),
    (
        "not without evidence",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a timed_out",
        "end unsolved coder a",
    ),
    (
        "evidence of any attempt is enough",
        {"coder": (1, 1), "debugger": (0, 1)},
        "planner a; coder a red; coder a timed_out",
        "debugger a #1 rung 1",
    ),
    (
        "not to a stage outside attaches_to",
        {"coder": (0, 1), "debugger": (0, 1), "attaches_to": ["planner"]},
        "planner a; coder a red",
        "end unsolved coder a",
    ),
    (
        "it attaches to the planner for a gate's rejection",
        {"planner": (0, 1), "debugger": (0, 1)},
        "planner rejected",
        "debugger - #1 rung 1",
    ),
    (
        "a route back gives one extra attempt on the last rung",
        {"coder": (0, 3), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> coder",
        "coder a #2 rung 3",
    ),
    (
        "an extra attempt that passes goes on",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a b; coder a red; debugger a -> coder; coder a passed",
        "coder b #1 rung 1",
    ),
    (
        "after a failed route the debugger's retry is a new diagnosis on the next rung",
        {"coder": (0, 1), "debugger": (1, 2)},
        "planner a; coder a red; debugger a -> coder; coder a red",
        "debugger a #2 rung 2",
    ),
    (
        "a used-up debugger leaves it to on_exhaust",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> coder; coder a red",
        "end unsolved coder a",
    ),
    (
        "surface_to_human asks a human",
        {"coder": (0, 1), "surface": ["coder"]},
        "planner a; coder a red",
        "end needs_human coder a",
    ),
    (
        "on_exhaust is that of the stage it attached to",
        {"coder": (0, 1), "debugger": (0, 1), "surface": ["coder"]},
        "planner a; coder a red; debugger a unusable",
        "end needs_human coder a",
    ),
    (
        "a failed diagnosis is tried again",
        {"coder": (0, 1), "debugger": (1, 1)},
        "planner a; coder a red; debugger a unusable",
        "debugger a #2 rung 1",
    ),
    (
        "its attempts count per item",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a b; coder a red; debugger a -> coder; coder a passed; coder b red",
        "debugger b #1 rung 1",
    ),
    (
        "a route to another stage uses one of its attempts, on its last rung",
        {"planner": (2, 3), "coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> planner",
        "planner #2 rung 3",
    ),
    (
        "a re-plan by route gives a kept item at least one attempt",
        {"planner": (1, 1), "coder": (0, 2), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> planner; planner a",
        "coder a #2 rung 2",
    ),
    (
        "only one",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> planner; planner a; coder a red",
        "end unsolved coder a",
    ),
    (
        "a failed re-plan counts as a failed route",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (1, 1)},
        "planner a; coder a red; debugger a -> planner; planner rejected",
        "debugger a #2 rung 1",
    ),
    (
        "a route to the exhausted planner is an extra attempt",
        {"planner": (0, 2), "debugger": (0, 1)},
        "planner rejected; debugger - -> planner",
        "planner #2 rung 2",
    ),
    (
        "which failing again ends the run",
        {"planner": (0, 1), "debugger": (0, 1)},
        "planner rejected; debugger - -> planner; planner rejected",
        "end unsolved planner",
    ),
    (
        "owner ticket asks a human",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> ticket",
        "end needs_human coder a",
    ),
    (
        "owner environment stops",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> environment",
        "end infrastructure coder a",
    ),
    (
        "after environment a resume runs the checks again",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> environment; end; resume",
        "recheck a",
    ),
    (
        "green then accepts",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> environment; end; resume; recheck a green",
        "end solved",
    ),
    (
        "red then is a new diagnosis",
        {"coder": (0, 1), "debugger": (1, 1)},
        "planner a; coder a red; debugger a -> environment; end; resume; recheck a red",
        "debugger a #2 rung 1",
    ),
    (
        "an attempt that ran no checks is made again, never judged by an older one's tree",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (1, 1)},
        (
            "planner a; coder a red; debugger a -> planner; planner b a; coder b passed; coder a rejected;"
            " debugger a -> environment; end; resume"
        ),
        "coder a #3 rung 1",
    ),
    (
        "flaky runs the checks once more",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red; debugger a -> flaky",
        "recheck a",
    ),
    (
        "flaky and green accepts",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a b; coder a red; debugger a -> flaky; recheck a green",
        "coder b #1 rung 1",
    ),
    (
        "flaky and red is a failed route",
        {"coder": (0, 1), "debugger": (1, 1)},
        "planner a; coder a red; debugger a -> flaky; recheck a red",
        "debugger a #2 rung 1",
    ),
]
REVIEWER = [
    ("the reviewer comes after the last item", {"reviewer": (1, 1)}, "planner a; coder a passed", "reviewer #1 rung 1"),
    ("approval solves", {"reviewer": (1, 1)}, "planner a; coder a passed; reviewer approve", "end solved"),
    (
        "request_changes makes one more item, one attempt on the coder's last rung",
        {"coder": (3, 3), "reviewer": (1, 1)},
        "planner a; coder a passed; reviewer changes",
        "coder review-1 #1 rung 3",
    ),
    (
        "the next review is the next attempt",
        {"reviewer": (1, 2)},
        "planner a; coder a passed; reviewer changes; coder review-1 passed",
        "reviewer #2 rung 2",
    ),
    (
        "changes without an attempt left exhaust the reviewer",
        {"reviewer": (0, 1)},
        "planner a; coder a passed; reviewer changes",
        "end unsolved reviewer",
    ),
    (
        "surfaced where it says so",
        {"reviewer": (0, 1), "surface": ["reviewer"]},
        "planner a; coder a passed; reviewer changes",
        "end needs_human reviewer",
    ),
    (
        "the debugger never attaches to the reviewer",
        {"reviewer": (0, 1), "debugger": (0, 1)},
        "planner a; coder a passed; reviewer unusable",
        "end unsolved reviewer",
    ),
    (
        "an unusable review is tried again",
        {"reviewer": (1, 2)},
        "planner a; coder a passed; reviewer unusable",
        "reviewer #2 rung 2",
    ),
    (
        "a review's item has one attempt",
        {"coder": (3, 1), "reviewer": (1, 1)},
        "planner a; coder a passed; reviewer changes; coder review-1 red",
        "end unsolved coder review-1",
    ),
    (
        "on_exhaust for a review's item is the coder's",
        {"reviewer": (1, 1), "surface": ["coder"]},
        "planner a; coder a passed; reviewer changes; coder review-1 red",
        "end needs_human coder review-1",
    ),
    (
        "a route to the reviewer reviews the tree without the item",
        {"reviewer": (1, 2), "debugger": (0, 1)},
        "planner a; coder a passed; reviewer changes; coder review-1 red; debugger review-1 -> reviewer",
        "reviewer #2 rung 2",
    ),
    (
        "and its approval solves",
        {"reviewer": (1, 1), "debugger": (0, 1)},
        (
            "planner a; coder a passed; reviewer changes; coder review-1 red; debugger review-1 -> reviewer;"
            " reviewer approve"
        ),
        "end solved",
    ),
    (
        "a review-N stays through a re-plan and runs after its items",
        {"planner": (1, 1), "reviewer": (1, 1)},
        "planner a; coder a passed; reviewer changes; coder review-1 scope; planner b; coder b passed",
        "coder review-1 #2 rung 1",
    ),
]
STOPPING = [
    (
        "three identical failures on the last rung end a stage",
        {"coder": (5, 1)},
        "planner a; coder a red:t; coder a red:t; coder a red:t",
        "end unsolved coder a",
    ),
    (
        "not before the last rung",
        {"coder": (5, 4)},
        "planner a; coder a red:t; coder a red:t; coder a red:t",
        "coder a #4 rung 4",
    ),
    (
        "but once it is there",
        {"coder": (5, 4)},
        "planner a; coder a red:t; coder a red:t; coder a red:t; coder a red:t",
        "end unsolved coder a",
    ),
    (
        "other red tests are another failure",
        {"coder": (5, 1)},
        "planner a; coder a red:t; coder a red:t; coder a red:u",
        "coder a #4 rung 1",
    ),
    (
        "a stopped attempt does not break the row",
        {"coder": (5, 1)},
        "planner a; coder a red:t; coder a stopped; coder a red:t; coder a red:t",
        "end unsolved coder a",
    ),
    (
        "the rest is forfeited, so a re-plan gives at least one",
        {"coder": (5, 1), "planner": (1, 1), "debugger": (0, 1)},
        "planner a; coder a red:t; coder a red:t; coder a red:t; debugger a -> planner; planner a; coder a red:u",
        "end unsolved coder a",
    ),
    (
        "a human's word gives the stage that ended one extra attempt on its last rung",
        {"coder": (0, 3)},
        "planner a; coder a red; end; resume with advice",
        "coder a #2 rung 3",
    ),
    (
        "only one",
        {"coder": (0, 3)},
        "planner a; coder a red; end; resume with advice; coder a red",
        "end unsolved coder a",
    ),
    (
        "a raised retry budget goes on",
        {"coder": (1, 1)},
        "planner a; coder a red; coder a red; end; resume changed",
        "end unsolved coder a",
    ),
]
STOPPING += [
    (
        "a human's word counts after a resume that came to nothing, too",
        {"coder": (0, 3)},
        "planner a; coder a red; end; resume; resume with advice",
        "coder a #2 rung 3",
    ),
]
BASELINE = [
    ("checks that bind nothing end the run before the planner", {}, "baseline binds-nothing", "end infrastructure"),
    ("one that binds is enough", {"checks": ["tests", "lint"]}, "", "planner #1 rung 1"),
]
ROWS = [*ATTEMPTS_AND_RUNGS, *FALLBACK, *ITEMS, *REPLAN, *DEBUGGER, *REVIEWER, *STOPPING, *BASELINE]


@pytest.mark.parametrize(("settings", "story", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_next_step(settings: dict[str, object], story: str, expected: str) -> None:
    assert text(play(make_settings(**settings), story).step()) == expected  # type: ignore[arg-type]


OFFERS = [
    (
        "a planner without attempts cannot act",
        {"planner": (0, 1), "coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red",
        {"coder", "ticket", "environment", "flaky"},
    ),
    (
        "a planner with attempts can",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a red",
        {"coder", "planner", "ticket", "environment", "flaky"},
    ),
    (
        "only stages within can_route_to",
        {"planner": (1, 1), "coder": (0, 1), "debugger": (0, 1), "can_route_to": ["planner"]},
        "planner a; coder a red",
        {"planner", "ticket", "environment", "flaky"},
    ),
    (
        "flaky only after red checks",
        {"coder": (0, 1), "debugger": (0, 1)},
        "planner a; coder a rejected",
        {"coder", "planner", "ticket", "environment"},
    ),
    (
        "flaky once per item",
        {"coder": (0, 1), "debugger": (1, 1)},
        "planner a; coder a red; debugger a -> flaky; recheck a red",
        {"coder", "planner", "ticket", "environment"},
    ),
    (
        "the exhausted planner has no coder to route to",
        {"planner": (0, 1), "debugger": (0, 1)},
        "planner rejected",
        {"planner", "ticket", "environment"},
    ),
    (
        "the reviewer only for a failed review's item",
        {"coder": (0, 1), "debugger": (0, 1), "reviewer": (1, 1)},
        "planner a; coder a passed; reviewer changes; coder review-1 red",
        {"coder", "planner", "reviewer", "ticket", "environment", "flaky"},
    ),
    (
        "and only with an attempt left of its own",
        {"coder": (0, 1), "debugger": (1, 1), "reviewer": (1, 1)},
        (
            "planner a; coder a passed; reviewer changes; coder review-1 red; debugger review-1 -> reviewer;"
            " reviewer unusable"
        ),
        {"coder", "planner", "ticket", "environment", "flaky"},
    ),
]


@pytest.mark.parametrize(("settings", "story", "owners"), [row[1:] for row in OFFERS], ids=[row[0] for row in OFFERS])
def test_routes_on_offer(settings: dict[str, object], story: str, owners: set[str]) -> None:
    step = play(make_settings(**settings), story).step()  # type: ignore[arg-type]
    assert isinstance(step, RunAttempt)
    assert set(step.owners) == owners


def test_an_ending_names_the_stage_the_bound_and_the_config_line() -> None:
    step = play(make_settings(coder=(0, 1)), "planner a; coder a red").step()
    assert isinstance(step, EndRun)
    assert (step.stage, step.item, step.config_key) == ("coder", "a", "stages.coder.retry_budget")
    assert step.failure is not None


def test_a_raised_retry_budget_is_used_on_resume() -> None:
    story = play(make_settings(coder=(1, 1)), "planner a; coder a red; coder a red; end; resume changed")
    story.settings = make_settings(coder=(2, 1))
    assert text(story.step()) == "coder a #3 rung 1"


def test_the_first_of_several_endings_counts() -> None:
    story = play(make_settings(coder=(0, 1)), "planner a; coder a red; end; end")
    assert text(story.step()) == "end unsolved coder a"


SWITCHED_OFF = [
    (
        "a debugger switched off during its attempt leaves it to on_exhaust",
        {"debugger": None},
        "planner a; coder a red; debugger a stopped; resume changed",
        "end unsolved coder a",
    ),
    (
        "a debugger switched off during the attempt it routed to",
        {"debugger": None},
        "planner a; coder a red; debugger a -> coder; coder a red; resume changed",
        "end unsolved coder a",
    ),
    (
        "a diagnosis that was made still counts",
        {"debugger": None},
        "planner a; coder a red; debugger a -> coder; resume changed",
        "coder a #2 rung 1",
    ),
    (
        "a reviewer switched off during its attempt approves nothing any more",
        {"reviewer": None},
        "planner a; coder a passed; reviewer stopped; resume changed",
        "end solved",
    ),
    (
        "what it asked for is still done",
        {"reviewer": None},
        "planner a; coder a passed; reviewer changes; resume changed",
        "coder review-1 #1 rung 1",
    ),
]


@pytest.mark.parametrize(
    ("without", "story", "expected"), [row[1:] for row in SWITCHED_OFF], ids=[row[0] for row in SWITCHED_OFF]
)
def test_a_stage_may_be_switched_off_on_resume(without: dict[str, None], story: str, expected: str) -> None:
    stages: dict[str, object] = {"coder": (0, 1), "debugger": (1, 1), "reviewer": (1, 1)}
    told = play(make_settings(**stages), story)  # type: ignore[arg-type]
    told.settings = make_settings(**(stages | without))  # type: ignore[arg-type]
    assert text(told.step()) == expected


def test_an_ending_by_the_stopping_rule_says_so() -> None:
    step = play(
        make_settings(coder=(5, 1)), "planner a; coder a red:t; coder a stopped; coder a red:t; coder a red:t"
    ).step()
    assert isinstance(step, EndRun)
    assert (step.bound, "3 times in a row" in step.reason) == ("identical_failures", True)


def test_attempts_that_were_only_stopped_are_not_counted_as_used() -> None:
    step = play(make_settings(coder=(1, 1)), "planner a; coder a red; coder a stopped; coder a red").step()
    assert isinstance(step, EndRun)
    assert "used its 2 attempts" in step.reason
