"""Whole runs while vendors have outages: attempts go on elsewhere, windows are not started into, and all is told."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.settings import StageSettings
from pipeline.events import AttemptEnded, AttemptStarted, CallRefused, CallWaiting
from pipeline.reporting.archive import read_run
from pipeline.reporting.document import document
from tests.e2e import project
from tests.fakes.clock import FakeClock
from tests.loopback import Brain, Say, always
from tests.runner.scenario import Scenario, audited, rung, settings, stage

DOWN = always(Say(status=500))
WINDOW = Say(status=429, headers={"retry-after": "18000"})
MakeScenario = Callable[..., Scenario]


class Counted:
    """A brain that counts how often it is asked."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.asked = 0

    def __call__(self, conversation: Any) -> Say:
        self.asked += 1
        return self.brain(conversation)


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[MakeScenario]:
    made: list[Scenario] = []
    clock = FakeClock()

    def make(brains: dict[str, Brain], **changes: Any) -> Scenario:
        team = {"planner": project.planner(), "coder": project.coder(), "strong": project.coder()}
        made.append(Scenario(tmp_path, team | brains, settings(**changes), clock=clock, sleep=clock.sleep))
        return made[-1]

    yield make
    for run in made:
        audited(run)
        run.store.close()


def with_fallbacks(name: Any, model: str, *elsewhere: str) -> StageSettings:
    first = rung(model, fallback=tuple(rung(other) for other in elsewhere))
    return StageSettings(name=name, rungs=(first,), retry_budget=1)


def attempts(run: Scenario) -> list[tuple[str, int, int, str, str]]:
    ended = [event for event in run.events if isinstance(event, AttemptEnded)]
    return [(e.stage, e.number, e.fallback, e.model, e.outcome) for e in ended]


def test_an_attempt_goes_on_with_its_fallbacks_in_turn_and_the_record_says_so(scenario: MakeScenario) -> None:
    run = scenario(
        {"coder": DOWN, "elsewhere": DOWN, "anywhere": project.coder()},
        coder=with_fallbacks("coder", "coder", "elsewhere", "anywhere"),
    )
    assert run.run().status == "solved"
    assert attempts(run) == [
        ("planner", 1, 0, "planner", "passed"),
        ("coder", 1, 0, "coder", "stopped"),
        ("coder", 1, 1, "elsewhere", "stopped"),
        ("coder", 1, 2, "anywhere", "passed"),
    ]
    printed = document(read_run(run.store, run.run_id), patch=None, report=None, resume=None)
    (coder,) = [entry for entry in printed["stages"] if entry["stage"] == "coder"]
    assert [(a["number"], a["fallback"], a["model"], a["calls"]) for a in coder["attempts"]] == [
        (1, 0, "coder", 2),
        (1, 1, "elsewhere", 2),
        (1, 2, "anywhere", coder["attempts"][2]["calls"]),
    ]
    assert coder["attempts"][0]["failure"]["code"] == "fallback"


def test_an_outage_everywhere_ends_the_run_and_a_resume_begins_with_the_rung_again(scenario: MakeScenario) -> None:
    run = scenario({"coder": DOWN, "elsewhere": DOWN}, coder=with_fallbacks("coder", "coder", "elsewhere"))
    assert run.run().status == "infrastructure"
    run.brains = {**run.brains, "coder": project.coder()}
    assert run.resume().status == "solved"
    assert attempts(run)[-1] == ("coder", 2, 0, "coder", "passed")


def test_an_answer_that_is_not_good_enough_never_falls_back(scenario: MakeScenario) -> None:
    other = Counted(project.coder())
    run = scenario(
        {"coder": always(Say("I would rather not.")), "elsewhere": other},
        coder=with_fallbacks("coder", "coder", "elsewhere"),
    )
    assert run.run().status == "unsolved"
    assert other.asked == 0


def test_no_run_starts_an_attempt_into_a_window_that_another_one_met(scenario: MakeScenario) -> None:
    vendor = Counted(always(WINDOW))
    first = scenario({"planner": vendor})
    parked = first.run()
    assert parked.status == "parked"
    second = scenario({"planner": vendor})
    later = second.run()
    assert (later.status, later.resume_at) == ("parked", parked.resume_at)
    assert vendor.asked == 1
    assert not [event for event in second.events if isinstance(event, AttemptStarted)]
    assert "it said that it answers again from" in later.reason
    assert (later.stage, later.config_key) == ("planner", "stages.planner.timeout")


def test_a_run_parked_before_an_attempt_names_the_stage_whose_attempt_it_is(scenario: MakeScenario) -> None:
    assert scenario({"coder": always(WINDOW)}).run().status == "parked"
    ended = scenario({"coder": always(WINDOW)}).run()
    assert (ended.status, ended.stage, ended.item) == ("parked", "coder", "apply-discount")
    assert ended.config_key == "stages.coder.timeout"


def test_a_resume_asks_a_vendor_whose_window_is_closed_and_an_answer_opens_it(scenario: MakeScenario) -> None:
    run = scenario({"planner": always(WINDOW)})
    assert run.run().status == "parked"
    run.brains = {**run.brains, "planner": project.planner()}
    assert run.resume().status == "solved"
    assert scenario({}).run().status == "solved"


def test_a_window_that_is_only_known_of_counts_as_no_park_of_three(scenario: MakeScenario) -> None:
    assert scenario({"planner": always(WINDOW)}).run().status == "parked"
    run = scenario({"planner": always(WINDOW)})
    statuses = [run.run().status, *(run.resume().status for _ in range(3))]
    assert statuses == ["parked", "parked", "parked", "infrastructure"]
    assert len([event for event in run.events if isinstance(event, CallRefused)]) == 3


def test_a_stage_goes_to_its_fallback_at_once_where_the_window_is_known(scenario: MakeScenario) -> None:
    vendor = Counted(always(WINDOW))
    assert scenario({"planner": vendor}).run().status == "parked"
    run = scenario(
        {"planner": vendor, "other": project.planner()}, planner=with_fallbacks("planner", "planner", "other")
    )
    assert run.run().status == "solved"
    assert vendor.asked == 1
    assert attempts(run)[:2] == [("planner", 1, 0, "planner", "stopped"), ("planner", 1, 1, "other", "passed")]


def test_a_run_parked_on_its_fallback_begins_with_its_rung_again(scenario: MakeScenario) -> None:
    run = scenario({"coder": DOWN, "elsewhere": always(WINDOW)}, coder=with_fallbacks("coder", "coder", "elsewhere"))
    assert run.run().status == "parked"
    run.brains = {**run.brains, "coder": project.coder()}
    assert run.resume().status == "solved"
    assert attempts(run)[1:] == [
        ("coder", 1, 0, "coder", "stopped"),
        ("coder", 1, 1, "elsewhere", "stopped"),
        ("coder", 2, 0, "coder", "passed"),
    ]
    timeouts = [event.timeout for event in run.events if isinstance(event, AttemptStarted)]
    assert timeouts[-1] == 60.0, "a parked attempt has its whole timeout again"


def test_a_vendor_set_aside_by_earlier_runs_is_not_asked_again_before_its_rest_is_over(scenario: MakeScenario) -> None:
    vendor = Counted(DOWN)
    runs = [scenario({"planner": vendor}) for _ in range(3)]
    assert [run.run().status for run in runs] == ["infrastructure"] * 3
    waits = [[(e.reason, round(e.seconds)) for e in run.events if isinstance(e, CallWaiting)] for run in runs]
    assert waits[:2] == [[("retry", 1)], [("retry", 1)]]
    assert waits[2] == [("retry", 1), ("outage", 29)], "the fifth failure in a row sets it aside for 30 s"


def test_a_short_timeout_ends_at_a_vendor_set_aside_without_asking_it(scenario: MakeScenario) -> None:
    vendor = Counted(DOWN)
    for _ in range(3):
        scenario({"planner": vendor}).run()
    asked = vendor.asked
    hasty = StageSettings(name="planner", rungs=(rung("planner", timeout=10.0),), retry_budget=1)
    ended = scenario({"planner": vendor}, planner=hasty).run()
    assert ended.status == "infrastructure"
    assert vendor.asked == asked
    assert stage("planner", "planner").rungs[0].timeout > 30
