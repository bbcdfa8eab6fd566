"""Endings that something around the run forces, and how a repaired run goes on."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.settings import CheckSettings
from pipeline.events import AttemptEnded, CheckFinished
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, always
from tests.runner.scenario import QUICK, Scenario, audited, settings, stage
from tests.runner.test_run_loop import LosingBackend

MakeScenario = Callable[..., Scenario]
TEAM: dict[str, Brain] = {"planner": project.planner(), "coder": project.coder(), "strong": project.coder()}


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[MakeScenario]:
    made: list[Scenario] = []

    def make(brains: dict[str, Brain] | None = None, **changes: Any) -> Scenario:
        made.append(Scenario(tmp_path, TEAM | (brains or {}), settings(**changes)))
        return made[-1]

    yield make
    for each in made:
        audited(each)
        each.store.close()


def test_a_repository_that_went_away_is_an_infrastructure_ending(scenario: MakeScenario) -> None:
    repository: list[Path] = []

    def planner(conversation: Conversation) -> Say:
        shutil.rmtree(repository[0] / ".git", ignore_errors=True)
        return project.planner()(conversation)

    run = scenario({"planner": planner})
    repository.append(run.repository)
    ended = run.run()
    assert (ended.status, ended.branch, ended.patch) == ("infrastructure", None, None)
    assert run.ended() == "infrastructure"


def test_a_first_call_that_loses_the_sandbox_twice_is_the_attempts_fault(scenario: MakeScenario) -> None:
    deadly = always(Say(calls=[("search", {"pattern": "deadly", "path": None, "glob": None})]))
    run = scenario({"planner": deadly}, planner=stage("planner", "planner", retries=0))
    run.backend = LosingBackend(losses=2, command="deadly")
    ended = run.run()
    assert run.outcomes == ["planner planner unusable"]
    assert ended.status == "unsolved"


def test_a_check_that_is_repaired_on_resume_gets_a_new_baseline(scenario: MakeScenario) -> None:
    broken = CheckSettings(name="tests", run="nonsense", report="junit", timeout=60.0)
    run = scenario(checks=(broken,))
    assert run.run().status == "infrastructure"
    right = broken.model_copy(update={"run": QUICK})
    assert run.resume(checks=(right,)).status == "solved"


def test_a_check_that_was_changed_is_judged_against_a_baseline_of_its_own(scenario: MakeScenario) -> None:
    run = scenario({"coder": always(Say(status=401))})
    assert run.run().status == "infrastructure"
    (check,) = settings().checks
    run.brains = TEAM
    assert run.resume(checks=(check.model_copy(update={"run": f"true; {QUICK}"}),)).status == "solved"
    phases = [event.phase for event in run.events if isinstance(event, CheckFinished)]
    assert phases == ["baseline", "baseline", "final"]


def test_a_raised_limit_keeps_the_baseline(scenario: MakeScenario) -> None:
    run = scenario({"coder": always(Say(status=401))})
    assert run.run().status == "infrastructure"
    run.brains = TEAM
    limits = run.settings.limits.model_copy(update={"tokens": 2_000_000})
    assert run.resume(limits=limits).status == "solved"
    assert [event.phase for event in run.events if isinstance(event, CheckFinished)] == ["baseline", "final"]


def test_a_world_that_was_repaired_gets_a_new_baseline_where_nothing_bound(scenario: MakeScenario) -> None:
    run = scenario()
    down = run.folder / "service-is-down"
    down.touch()
    check = CheckSettings(name="service", run=f"test ! -e {down}", timeout=10.0)
    run.settings = run.settings.model_copy(update={"checks": (check,)})
    assert run.run().status == "infrastructure"
    down.unlink()
    assert run.resume().status == "solved"


def test_a_vendor_that_fails_for_good_is_named_with_stage_and_config_line(scenario: MakeScenario) -> None:
    run = scenario({"coder": always(Say(status=401))})
    ended = run.run()
    assert (ended.stage, ended.item, ended.config_key) == ("coder", "apply-discount", "stages.coder.vendor")
    stopped = [event for event in run.events if isinstance(event, AttemptEnded)][-1]
    assert (stopped.outcome, stopped.failure and stopped.failure.code) == ("stopped", "auth")
