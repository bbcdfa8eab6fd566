"""What reviews, re-plans and repaired environments leave behind: nothing red is published, nothing accepted is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, always, by_turn
from tests.runner.scenario import DEBUGGER, REVIEWER, Scenario, audited, settings, stage

MakeScenario = Callable[..., Scenario]
FINDING = {"severity": "major", "path": "shop/price.py", "line": 6, "rule": None, "message": "round up"}
CHANGES = Say(calls=[("submit_review", {"verdict": "request_changes", "findings": [FINDING]})])
APPROVES = Say(calls=[("submit_review", {"verdict": "approve", "findings": []})])
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


def in_order(*says: Say) -> Brain:
    """Return a brain for a model that says one thing per attempt."""
    left = list(says)
    return lambda _conversation: left.pop(0)


def edits(old: str, new: str) -> Brain:
    return by_turn(
        Say(calls=[("edit_file", {"path": "shop/price.py", "old": old, "new": new})]),
        Say(calls=[("finish", {"summary": "done"})]),
    )


def test_a_tree_that_is_approved_without_the_reviews_item_is_published_without_it(scenario: MakeScenario) -> None:
    run = scenario(
        {
            "reviewer": in_order(CHANGES, APPROVES),
            "strong": edits("// 100", "// 7"),
            "debugger": project.debugger("reviewer"),
        },
        debugger=DEBUGGER,
        reviewer=REVIEWER,
    )
    ended = run.run()
    assert run.outcomes[2:] == [
        "reviewer reviewer passed",
        "coder review-1 strong red",
        "debugger review-1 debugger passed",
        "reviewer reviewer passed",
    ]
    assert ended.status == "solved"
    assert project.RIGHT in project.git(run.repository, "show", f"{ended.branch}:shop/price.py")


def test_the_reviewer_is_shown_the_checks_of_the_tree_it_reviews(scenario: MakeScenario) -> None:
    heard: list[str] = []

    def reviewer(conversation: Conversation) -> Say:
        heard.append("\n".join(conversation.texts))
        return CHANGES if len(heard) == 1 else APPROVES

    run = scenario(
        {"reviewer": reviewer, "strong": edits("// 100", "// 7"), "debugger": project.debugger("reviewer")},
        debugger=DEBUGGER,
        reviewer=REVIEWER,
    )
    assert run.run().status == "solved"
    assert "tests: green" in heard[1]
    assert "RED" not in heard[1]


def test_an_item_may_be_called_review_something(scenario: MakeScenario) -> None:
    manifest = project.manifest(items=[project.work_item("review-docs")])
    run = scenario({"planner": always(Say(calls=[("submit_manifest", manifest)]))})
    assert run.run().status == "solved"
    assert run.outcomes[1:] == ["coder review-docs coder passed"]
