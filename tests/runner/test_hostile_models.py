"""Whatever a model says, the run goes on or ends truthfully; never with a defect of ours."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.model import Usage
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say
from tests.runner.scenario import DEBUGGER, REVIEWER, Scenario, audited, settings, stage

HALF = "\ud800"
HOSTILE: dict[str, Any] = {
    "half a surrogate as a key": {HALF: "x"},
    "half a surrogate as a key without a value": {"path": "shop/price.py", HALF: None},
    "half a surrogate as a value": {"path": f"shop/{HALF}.py", "content": HALF, "command": HALF, "pattern": HALF},
    "a NUL": {"path": "shop/\0.py", "content": "\0", "old": "\0", "new": "\0", "command": "echo \0", "pattern": "\0"},
    "a NUL as a key": {"\0": "x", "path": "shop/price.py"},
    "a huge string": {"path": "x" * 2_000, "command": "x" * 2_000, "pattern": "x" * 2_000},
    "a deep list": {"path": [[[[[[[[[[]]]]]]]]]]},
    "numbers for texts": {"path": 1, "command": 2.5, "pattern": True, "old": 1e308, "new": 10**300},
    "not a number": {"path": "shop/price.py", "command": "true", "timeout": float("nan"), "start_line": float("inf")},
    "endless time": {"command": "true", "timeout": float("inf")},
    "an absurd line": {"path": "shop/price.py", "start_line": 10**200, "end_line": -1},
    "no object": "this is not JSON",
    "no JSON with half a surrogate": f'{{"path": "{HALF}"',
    "paths everywhere": {"path": "../../etc/passwd", "glob": "../*", "pattern": "("},
    "the root": {"path": "/", "pattern": "."},
    "options": {"path": "--help", "pattern": "--pre=sh", "command": "--version"},
}
UNKNOWN = ["no_such_tool", "", f"odd{HALF}\0"]
USAGE = Usage(input=9_000, output=100)


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Callable[..., Scenario]]:
    made: list[Scenario] = []

    def make(brains: dict[str, Brain], **changes: Any) -> Scenario:
        made.append(Scenario(tmp_path, brains, settings(**changes)))
        return made[-1]

    yield make
    for each in made:
        audited(each)
        each.store.close()


def first_hostile(work: Brain, terminal: str) -> Brain:
    """Return a brain that calls every tool in every hostile way before it does its work."""

    def brain(conversation: Conversation) -> Say:
        tools = [name for name in conversation.tools if not name.startswith(("submit", "request", "finish"))]
        match conversation.turn:
            case 0:
                calls = [(tool, arguments) for tool in [*tools, *UNKNOWN] for arguments in HOSTILE.values()]
                return Say(calls=calls, usage=USAGE)
            case 1:
                return Say(calls=[(terminal, HOSTILE["half a surrogate as a key without a value"])], usage=USAGE)
            case 2:
                return Say(calls=[(terminal, HOSTILE["no JSON with half a surrogate"])], usage=USAGE)
            case turn:
                return work(replace(conversation, turn=turn - 3))

    return brain


def test_hostile_arguments_of_every_tool_are_answered_and_the_work_goes_on(scenario: Callable[..., Scenario]) -> None:
    brains = {
        "planner": first_hostile(project.planner(), "submit_manifest"),
        "coder": first_hostile(project.coder(project.WRONG), "finish"),
        "strong": first_hostile(project.coder(project.RIGHT, old=project.WRONG), "request_scope"),
        "debugger": first_hostile(project.debugger(), "submit_diagnosis"),
        "reviewer": first_hostile(project.reviewer(), "submit_review"),
    }
    run = scenario(brains, coder=stage("coder", "coder", "strong", retries=0), debugger=DEBUGGER, reviewer=REVIEWER)
    assert run.run().status == "solved", run.outcomes
    assert len(run.outcomes) == 5


def test_a_key_as_short_as_a_word_hides_no_words(scenario: Callable[..., Scenario]) -> None:
    heard: list[str] = []

    def planner(conversation: Conversation) -> Say:
        heard.extend(conversation.texts)
        return project.planner()(conversation)

    run = scenario({"planner": planner, "coder": project.coder()})
    run.keys = {"scripted": "total"}
    assert run.run().status == "solved"
    assert any("total" in text for text in heard)
