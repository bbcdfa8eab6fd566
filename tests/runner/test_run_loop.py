"""What the run loop makes of the stages' results: gates, checks, routes, reviews, interruptions and resumes."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.settings import CheckSettings, Limits
from pipeline.events import (
    AttemptEnded,
    CheckFinished,
    GateRejected,
    HumanAsked,
    ItemAccepted,
    RouteChosen,
    RunEnded,
    SandboxLost,
)
from sandbox.base import BaseTree, Environment, ExecResult, Sandbox, SandboxLostError
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, always, by_turn
from tests.runner.scenario import (
    DEBUGGER,
    REVIEWER,
    FolderBackend,
    Scenario,
    audited,
    on_turn,
    settings,
    stage,
    with_limits,
)

MakeScenario = Callable[..., Scenario]
TEAM: dict[str, Brain] = {
    "planner": project.planner(),
    "coder": project.coder(),
    "strong": project.coder(project.RIGHT, old=project.HALFWAY),
    "debugger": project.debugger(),
    "reviewer": project.reviewer(),
}


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


def plan(*items: dict[str, Any]) -> Say:
    return Say(calls=[("submit_manifest", project.manifest(items=list(items)))])


def test_a_ticket_is_solved(scenario: MakeScenario) -> None:
    run = scenario(reviewer=REVIEWER)
    ended = run.run()
    assert run.outcomes == ["planner planner passed", "coder apply-discount coder passed", "reviewer reviewer passed"]
    assert (ended.status, ended.branch) == ("solved", "stagewright/discount")
    assert project.RIGHT.strip() in project.git(run.repository, "show", f"{ended.branch}:shop/price.py")


def test_an_attempt_starts_from_the_last_patch_that_was_only_red(scenario: MakeScenario) -> None:
    run = scenario({"coder": project.coder(project.HALFWAY)})
    assert run.run().status == "solved", "the strong coder edits the line the weak one left"
    assert run.outcomes[1:] == ["coder apply-discount coder red", "coder apply-discount strong passed"]


def test_a_rejected_patch_is_not_built_upon(scenario: MakeScenario) -> None:
    loses_a_function = by_turn(
        Say(calls=[("write_file", {"path": "shop/price.py", "content": "NOTHING = 1\n"})]),
        Say(calls=[("finish", {"summary": "done"})]),
    )
    run = scenario({"coder": loses_a_function, "strong": project.coder()})
    assert run.run().status == "solved"
    assert run.outcomes[1:] == ["coder apply-discount coder rejected", "coder apply-discount strong passed"]
    assert [event for event in run.events if isinstance(event, GateRejected)]


def test_a_manifest_that_names_a_missing_file_is_rejected_and_the_next_attempt_is_told(scenario: MakeScenario) -> None:
    wrong = project.work_item() | {"files": [{"path": "shop/nowhere.py", "operation": "modify", "symbols": []}]}
    heard: list[str] = []

    def planner(conversation: Conversation) -> Say:
        heard.append("\n".join(conversation.texts))
        return plan(project.work_item()) if "shop/nowhere.py" in heard[-1] else plan(wrong)

    run = scenario({"planner": planner})
    assert run.run().status == "solved"
    assert run.outcomes[:2] == ["planner planner rejected", "planner planner passed"]


def test_a_clarification_ends_with_needs_human_and_an_answer_goes_on(scenario: MakeScenario) -> None:
    def planner(conversation: Conversation) -> Say:
        if "round down" in "\n".join(conversation.texts):
            return plan(project.work_item())
        return Say(calls=[("request_clarification", {"question": "Round how?", "options": ["up", "down"]})])

    run = scenario({"planner": planner})
    ended = run.run()
    assert (ended.status, ended.reason) == ("needs_human", "Round how?")
    asked = next(event for event in run.events if isinstance(event, HumanAsked))
    assert asked.options == ("up", "down")
    assert run.resume(guidance="round down").status == "solved"


def test_several_items_are_judged_by_focus_and_the_last_by_everything(scenario: MakeScenario) -> None:
    first = project.work_item("first") | {"files": project.work_item()["files"][1:], "tests": ["tests/test_price.py"]}
    second = project.work_item("second") | {"depends_on": ["first"], "files": project.work_item()["files"][:1]}
    writes_the_test = by_turn(
        Say(calls=[("write_file", {"path": "tests/test_discount.py", "content": project.NEW_TEST})]),
        Say(calls=[("finish", {"summary": "test written"})]),
    )
    edits = by_turn(
        Say(calls=[("edit_file", {"path": "shop/price.py", "old": "    return sum(prices)", "new": project.RIGHT})]),
        Say(calls=[("finish", {"summary": "done"})]),
    )

    def coder(conversation: Conversation) -> Say:
        mine = edits if "second" in conversation.texts[0].split("work item")[-1] else writes_the_test
        return mine(conversation)

    run = scenario({"planner": always(plan(first, second)), "coder": coder})
    ended = run.run()
    phases = [(event.phase, event.item) for event in run.events if isinstance(event, CheckFinished)]
    assert phases == [("baseline", None), ("focus", "first"), ("final", "second")], ended.reason
    assert ended.status == "solved"


def test_more_scope_is_one_planner_attempt_and_the_coder_goes_on(scenario: MakeScenario) -> None:
    narrow = project.work_item() | {"files": project.work_item()["files"][:1], "tests": []}

    def planner(conversation: Conversation) -> Say:
        return plan(project.work_item() if "tests/test_discount.py" in conversation.texts[0] else narrow)

    def coder(conversation: Conversation) -> Say:
        if "tests/test_discount.py" not in conversation.texts[0]:
            return Say(calls=[("request_scope", {"paths": ["tests/test_discount.py"], "reason": "a test is needed"})])
        return project.coder()(conversation)

    run = scenario({"planner": planner, "coder": coder})
    assert run.run().status == "solved"
    assert run.outcomes == [
        "planner planner passed",
        "coder apply-discount coder stopped",
        "planner planner passed",
        "coder apply-discount coder passed",
    ]


def test_a_review_that_asks_for_changes_makes_one_more_item(scenario: MakeScenario) -> None:
    finding = {"severity": "major", "path": "shop/price.py", "line": 6, "rule": None, "message": "name the hundred"}
    changes = Say(calls=[("submit_review", {"verdict": "request_changes", "findings": [finding]})])
    asked: list[int] = []

    def reviewer(conversation: Conversation) -> Say:
        asked.append(conversation.turn)
        return changes if len(asked) == 1 else project.reviewer()(conversation)

    def redo(conversation: Conversation) -> Say:
        assert "name the hundred" in conversation.texts[0]
        edit = {"path": "shop/price.py", "old": "prices) * (100", "new": "prices) * (1_00"}
        return by_turn(Say(calls=[("edit_file", edit)]), Say(calls=[("finish", {"summary": "named"})]))(conversation)

    run = scenario({"reviewer": reviewer, "strong": redo}, reviewer=REVIEWER)
    assert run.run().status == "solved"
    assert run.outcomes[2:] == ["reviewer reviewer passed", "coder review-1 strong passed", "reviewer reviewer passed"]


def test_environment_stops_the_run_and_resume_runs_the_checks_again(scenario: MakeScenario) -> None:
    gate = "test ! -e {}"
    run = scenario(
        {"debugger": project.debugger("environment"), "strong": project.coder()},
        debugger=DEBUGGER,
        coder=stage("coder", "coder", retries=0),
    )
    marker = run.folder / "service-is-down"
    checks = (CheckSettings(name="service", run=gate.format(marker), timeout=10.0),)
    run.settings = run.settings.model_copy(update={"checks": checks})
    run.brains = run.cast.brains = {**run.brains, "coder": _breaks_the_service(marker)}
    assert run.run().status == "infrastructure"
    assert [event.owner for event in run.events if isinstance(event, RouteChosen)] == ["environment"]
    marker.unlink()
    assert run.resume().status == "solved"
    assert [event.phase for event in run.events if isinstance(event, CheckFinished)][-1] == "recheck"


def _breaks_the_service(marker: Path) -> Brain:
    working = project.coder()
    return lambda conversation: (
        Say(calls=[("run", {"command": f"touch {marker}", "timeout": None})])
        if conversation.turn == 1
        else working(conversation)
    )


def test_checks_that_bind_nothing_end_the_run_before_the_planner(scenario: MakeScenario) -> None:
    run = scenario(checks=(CheckSettings(name="lint", run="exit 1", timeout=10.0),))
    ended = run.run()
    assert (ended.status, run.outcomes) == ("infrastructure", [])
    assert "lint" in ended.reason


def test_a_check_that_was_red_at_base_binds_nothing(scenario: MakeScenario) -> None:
    checks = (*settings().checks, CheckSettings(name="lint", run="exit 1", timeout=10.0))
    run = scenario(checks=checks)
    assert run.run().status == "solved"


def test_a_budget_stop_keeps_what_was_done_and_goes_on_with_a_raised_cap(scenario: MakeScenario) -> None:
    run = scenario()
    run.settings = with_limits(run.settings, tokens=6_500)
    ended = run.run()
    assert (ended.status, ended.config_key) == ("budget_stop", "limits.tokens")
    assert run.resume(limits=Limits(tokens=500_000, wall_clock=300.0)).status == "solved"


def test_a_stage_cannot_catch_the_breaker(scenario: MakeScenario) -> None:
    run = scenario(coder=stage("coder", "coder", tokens=3_000))
    ended = run.run()
    assert (ended.status, ended.config_key) == ("budget_stop", "stages.coder.tokens")
    assert run.outcomes[-1] == "coder apply-discount coder stopped"


def test_three_parks_without_a_paid_call_are_an_outage(scenario: MakeScenario) -> None:
    busy = always(Say(status=429, headers={"retry-after": "90000"}))
    run = scenario({"coder": busy})
    assert [run.run().status, run.resume().status, run.resume().status] == ["parked", "parked", "infrastructure"]


def test_a_lost_sandbox_is_rebuilt_and_the_attempt_goes_on(scenario: MakeScenario) -> None:
    run = scenario()
    run.backend = LosingBackend(losses=1, command="pytest -q tests/test_discount.py")
    assert run.run().status == "solved"
    assert len([event for event in run.events if isinstance(event, SandboxLost)]) == 1


def test_a_sandbox_lost_twice_at_one_call_makes_the_attempt_unusable(scenario: MakeScenario) -> None:
    run = scenario({"strong": project.coder()})
    run.backend = LosingBackend(losses=2, command="pytest -q tests/test_discount.py")
    run.run()
    first = next(e for e in run.events if isinstance(e, AttemptEnded) and e.stage == "coder")
    assert (first.outcome, first.failure and first.failure.code) == ("unusable", "lost_twice")


def test_an_engine_that_is_gone_is_an_infrastructure_ending(scenario: MakeScenario) -> None:
    run = scenario()
    run.backend = LosingBackend(losses=99, command="")
    ended = run.run()
    assert ended.status == "infrastructure"
    assert "lost its sandbox twice" in ended.reason


def test_a_defect_of_ours_is_recorded_before_it_is_shown(scenario: MakeScenario) -> None:
    def defect(_: Conversation) -> Say:
        raise ZeroDivisionError

    run = scenario({"planner": defect})
    with pytest.raises(ZeroDivisionError):
        run.run()
    assert run.ended() == "infrastructure"


def test_a_key_in_the_repository_is_not_sent_to_a_model(scenario: MakeScenario) -> None:
    heard: list[str] = []

    def planner(conversation: Conversation) -> Say:
        heard.extend(result.content for result in conversation.tool_results)
        return project.planner()(conversation)

    run = scenario({"planner": planner})
    run.keys = {"scripted": "return sum"}
    run.run()
    assert heard
    assert not any("return sum" in text for text in heard)


def test_an_ending_names_stage_bound_config_line_and_keeps_the_patch(scenario: MakeScenario) -> None:
    run = scenario({"coder": project.coder(project.WRONG)}, coder=stage("coder", "coder", retries=0))
    ended = run.run()
    assert isinstance(ended, RunEnded)
    assert (ended.status, ended.stage, ended.item) == ("unsolved", "coder", "apply-discount")
    assert ended.config_key == "stages.coder.retry_budget"
    assert ended.failure is not None
    assert any("test_discount_is_applied" in test for test in ended.failure.tests)
    assert ended.patch is not None


def test_a_change_out_of_scope_by_a_command_is_put_back(scenario: MakeScenario) -> None:
    sneaky = on_turn(
        project.coder(),
        1,
        Say(calls=[("run", {"command": "echo 'def total(): ...' > shop/__init__.py", "timeout": None})]),
    )
    run = scenario({"coder": sneaky})
    ended = run.run()
    assert ended.status == "solved"
    assert project.git(run.repository, "show", f"{ended.branch}:shop/__init__.py") == ""


class LosingBackend(FolderBackend):
    """Loses its sandbox `losses` times when a command is run (any, when `command` is empty)."""

    def __init__(self, losses: int, command: str) -> None:
        super().__init__()
        self.losses = losses
        self.command = command

    @asynccontextmanager
    async def open(self, environment: Environment, base: BaseTree) -> AsyncIterator[Sandbox]:
        async with super().open(environment, base) as sandbox:
            yield LosingSandbox(sandbox, self)


class LosingSandbox:
    """Passes everything on but the command that loses it."""

    def __init__(self, sandbox: Sandbox, backend: LosingBackend) -> None:
        self._sandbox = sandbox
        self._backend = backend
        self.read = sandbox.read
        self.write = sandbox.write
        self.snapshot = sandbox.snapshot
        self.restore = sandbox.restore

    async def exec(self, argv: Any, **options: Any) -> ExecResult:
        if self._backend.losses and self._backend.command in " ".join(argv):
            self._backend.losses -= 1
            raise SandboxLostError("pulled the plug")
        return await self._sandbox.exec(argv, **options)


def test_a_named_test_that_one_check_knows_is_not_missing_from_another(scenario: MakeScenario) -> None:
    both = settings().checks[0]
    old = both.model_copy(update={"name": "old", "run": f"{both.run} tests/test_price.py", "focus": None})
    run = scenario(checks=(both, old))
    assert run.run().status == "solved"


def test_a_change_to_how_tests_run_is_flagged_when_it_is_accepted_and_at_the_end(scenario: MakeScenario) -> None:
    item = project.work_item()
    item = item | {"files": [*item["files"], {"path": "conftest.py", "operation": "create", "symbols": []}]}
    adds_one = on_turn(
        project.coder(), 1, Say(calls=[("write_file", {"path": "conftest.py", "content": "collect_ignore = []\n"})])
    )
    run = scenario({"planner": always(plan(item)), "coder": adds_one})
    ended = run.run()
    accepted = next(event for event in run.events if isinstance(event, ItemAccepted))
    assert ended.status == "solved"
    assert [(flag.path, flag.kind, flag.change) for flag in ended.flags] == [("conftest.py", "tests", "added")]
    assert accepted.flags == ended.flags
