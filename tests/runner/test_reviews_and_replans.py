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


def item(name: str, *files: tuple[str, str], tests: tuple[str, ...] = ()) -> dict[str, Any]:
    listed = [{"path": path, "operation": operation, "symbols": []} for path, operation in files]
    return project.work_item(name) | {"files": listed, "tests": list(tests)}


def plans(*items: dict[str, Any]) -> Say:
    return Say(calls=[("submit_manifest", project.manifest(items=list(items)))])


def by_item(brains: dict[str, Brain]) -> Brain:
    """Return a Coder's brain that does what each item's says."""
    return lambda conversation: next(
        brain for name, brain in brains.items() if conversation.texts[0].startswith(f"Carry out work item {name}.")
    )(conversation)


def writes(path: str, content: str) -> Brain:
    return by_turn(
        Say(calls=[("write_file", {"path": path, "content": content})]), Say(calls=[("finish", {"summary": "done"})])
    )


DELETES_THE_OLD_TEST = by_turn(
    Say(
        calls=[
            ("delete_file", {"path": "tests/test_price.py"}),
            ("write_file", {"path": "tests/test_new.py", "content": project.BASE_TEST.replace("adds_up", "is_a_sum")}),
        ]
    ),
    Say(calls=[("finish", {"summary": "moved"})]),
)
NEW_NAME = "tests/test_new.py::test_total_is_a_sum"
ASKS = Say(calls=[("request_scope", {"paths": ["shop/more.py"], "reason": "it belongs there"})])
MOVE = item("move", ("tests/test_price.py", "delete"), ("tests/test_new.py", "create"), tests=(NEW_NAME,))


def test_what_an_accepted_item_deleted_stays_deleted_after_a_re_plan(scenario: MakeScenario) -> None:
    run = scenario(
        {
            "planner": in_order(
                plans(MOVE, item("more", ("shop/price.py", "modify"))), plans(item("wider", ("shop/more.py", "create")))
            ),
            "coder": by_item({"move": DELETES_THE_OLD_TEST, "more": always(ASKS)}),
            "strong": writes("shop/more.py", "MORE = 1\n"),
        }
    )
    assert run.run().status == "solved", run.outcomes
    assert run.outcomes[-1] == "coder wider strong passed"


def test_a_test_that_an_accepted_item_named_has_to_pass_after_a_re_plan_too(scenario: MakeScenario) -> None:
    spoils = item("wider", ("tests/test_new.py", "modify"), ("shop/more.py", "create"))
    run = scenario(
        {
            "planner": in_order(plans(MOVE, item("more", ("shop/price.py", "modify"))), plans(spoils)),
            "coder": by_item({"move": DELETES_THE_OLD_TEST, "more": always(ASKS)}),
            "strong": writes("tests/test_new.py", "if False:\n    def test_total_is_a_sum() -> None: ...\n"),
        }
    )
    ended = run.run()
    assert ended.status == "unsolved"
    assert ended.failure is not None
    assert NEW_NAME in ended.failure.tests


def test_a_re_plan_may_not_delete_the_test_of_an_accepted_item(scenario: MakeScenario) -> None:
    deletes = item("wider", ("tests/test_new.py", "delete"), ("shop/more.py", "create"))
    run = scenario(
        {
            "planner": in_order(plans(MOVE, item("more", ("shop/price.py", "modify"))), plans(deletes)),
            "coder": by_item({"move": DELETES_THE_OLD_TEST, "more": in_order(ASKS, *[ASKS] * 9)}),
        },
        coder=stage("coder", "coder", retries=0),
    )
    run.run()
    assert "planner planner rejected" in run.outcomes


def test_a_review_may_have_any_file_changed_that_an_accepted_item_changed(scenario: MakeScenario) -> None:
    run = scenario(
        {
            "planner": in_order(
                plans(MOVE, item("more", ("shop/price.py", "modify"))), plans(item("wider", ("shop/more.py", "create")))
            ),
            "coder": by_item({"move": DELETES_THE_OLD_TEST, "more": always(ASKS)}),
            "strong": by_item(
                {
                    "wider": writes("shop/more.py", "MORE = 1\n"),
                    "review-1": writes("tests/test_new.py", project.BASE_TEST.replace("adds_up", "is_a_sum") + "\n#\n"),
                }
            ),
            "reviewer": in_order(CHANGES, APPROVES),
        },
        reviewer=REVIEWER,
    )
    assert run.run().status == "solved", run.outcomes
    assert "coder review-1 strong passed" in run.outcomes


def test_a_re_plan_that_was_rejected_is_told_why_and_what_was_asked_for(scenario: MakeScenario) -> None:
    heard: list[str] = []
    answers = [
        plans(project.work_item()),
        plans(item("wider", ("shop/nowhere.py", "modify"))),
        plans(project.work_item()),
    ]

    def planner(conversation: Conversation) -> Say:
        heard.append(conversation.texts[0])
        return answers.pop(0)

    asked: list[int] = []

    def coder(conversation: Conversation) -> Say:
        asked.append(1)
        return ASKS if len(asked) == 1 else project.coder()(conversation)

    run = scenario({"planner": planner, "coder": coder}, planner=stage("planner", "planner", retries=2))
    assert run.run().status == "solved"
    assert "it belongs there" in heard[1]
    assert "it belongs there" in heard[2]
    assert "shop/nowhere.py" in heard[2]


def test_a_refused_request_for_scope_is_told_as_refused(scenario: MakeScenario) -> None:
    heard: list[str] = []

    def coder(conversation: Conversation) -> Say:
        if not heard or conversation.turn:
            heard.append(conversation.texts[0])
            return ASKS if len(heard) == 1 else project.coder()(conversation)
        heard.append(conversation.texts[0])
        return project.coder()(conversation)

    bad = plans(item("wider", ("shop/nowhere.py", "modify")))
    run = scenario({"planner": in_order(plans(project.work_item()), bad), "coder": coder})
    assert run.run().status == "solved"
    assert "your request for more scope was refused" in heard[1]


def test_an_interrupted_attempt_does_not_hide_why_the_one_before_failed(scenario: MakeScenario) -> None:
    heard: list[str] = []

    def strong(conversation: Conversation) -> Say:
        heard.append(conversation.texts[0])
        if len(heard) == 1:
            return Say(status=401)
        return project.coder(project.RIGHT, old=project.HALFWAY)(conversation)

    run = scenario({"coder": project.coder(project.HALFWAY), "strong": strong})
    assert run.run().status == "infrastructure"
    assert run.resume().status == "solved"
    told, _, diff = heard[1].partition("why the last attempt ended")[2].partition("diff of the last attempt")
    assert "test_discount_is_applied" in told
    assert project.HALFWAY in diff


def test_the_last_diff_shows_the_attempt_alone_when_others_were_accepted_since(scenario: MakeScenario) -> None:
    price = item(
        "price", ("shop/price.py", "modify"), ("tests/test_discount.py", "create"), tests=(project.NAMED_TEST,)
    )
    other = item("other", ("shop/other.py", "create"))
    heard: list[str] = []

    def price_again(conversation: Conversation) -> Say:
        heard.append(conversation.texts[0])
        return project.coder(project.RIGHT, old=project.WRONG)(conversation)

    run = scenario(
        {
            "planner": in_order(plans(price), plans(other, price)),
            "coder": project.coder(project.WRONG),
            "strong": by_item({"other": writes("shop/other.py", "OTHER = 1\n"), "price": price_again}),
            "debugger": project.debugger("planner"),
        },
        coder=stage("coder", "coder", "strong", retries=0),
        debugger=DEBUGGER,
    )
    assert run.run().status == "solved", run.outcomes
    diff = heard[0].partition("diff of the last attempt")[2]
    assert project.WRONG in diff
    assert "shop/other.py" not in diff
