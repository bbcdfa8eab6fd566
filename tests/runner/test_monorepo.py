"""With `repo.subdir` a folder is the project: commands run in it, paths stay the repository's, nothing else changes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.settings import RepositorySettings
from pipeline.events import CheckFinished, GateRejected
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, always, by_turn
from tests.runner.scenario import Scenario, audited, settings, stage

MakeScenario = Callable[[dict[str, Brain]], Scenario]
FOLDER = "services/shop"
WORK: dict[str, Any] = project.work_item() | {
    "files": [file | {"path": f"{FOLDER}/{file['path']}"} for file in project.work_item()["files"]],
    "tests": [f"{FOLDER}/{project.NAMED_TEST}"],
}
WRITES = [
    ("write_file", {"path": f"{FOLDER}/tests/test_discount.py", "content": project.NEW_TEST}),
    ("edit_file", {"path": f"{FOLDER}/shop/price.py", "old": "    return sum(prices)", "new": project.RIGHT}),
]


def plan(*items: dict[str, Any]) -> Say:
    return Say(calls=[("submit_manifest", project.manifest(items=list(items)))])


def coder(command: str, heard: list[str]) -> Brain:
    def said(conversation: Conversation) -> Say:
        heard.extend(result.content for result in conversation.tool_results)
        return talk(conversation)

    talk = by_turn(
        Say(calls=WRITES),
        Say(calls=[("run", {"command": command, "timeout": None})]),
        Say(calls=[("finish", {"summary": "done"})]),
    )
    return said


@pytest.fixture
def monorepo(tmp_path: Path) -> Iterator[MakeScenario]:
    made: list[Scenario] = []

    def make(brains: dict[str, Brain]) -> Scenario:
        chosen = settings(coder=stage("coder", "coder", retries=0), repo=RepositorySettings(subdir=FOLDER))
        run = Scenario(tmp_path, brains, chosen)
        inside = run.repository / FOLDER
        inside.mkdir(parents=True)
        for name in ("shop", "tests", "pyproject.toml"):
            (run.repository / name).rename(inside / name)
        (run.repository / "shared.txt").write_text("shared\n")
        (run.repository / "other").mkdir()
        (run.repository / "other/app.py").write_text("def other() -> None: ...\n")
        project.git(run.repository, "add", "-A")
        project.git(run.repository, "commit", "-q", "-m", "A monorepo")
        made.append(run)
        return run

    yield make
    for each in made:
        audited(each)
        each.store.close()


def test_commands_and_checks_run_in_the_folder_and_the_branch_is_the_whole_repository(monorepo: MakeScenario) -> None:
    heard: list[str] = []
    told: list[str] = []

    def planner(conversation: Conversation) -> Say:
        told.extend(conversation.texts)
        return plan(WORK)

    run = monorepo({"planner": planner, "coder": coder("basename $PWD; cat ../../shared.txt; ls", heard)})
    ended = run.run()
    assert ended.status == "solved", ended.reason
    changed = project.git(run.repository, "diff", "--name-only", "HEAD", ended.branch or "").split()
    assert changed == [f"{FOLDER}/shop/price.py", f"{FOLDER}/tests/test_discount.py"]
    assert any("shop\nshared\npyproject.toml" in text for text in heard), heard
    final = next(event for event in run.events if isinstance(event, CheckFinished) and event.phase == "final")
    assert (final.outcome, final.passed, final.green) == ("passed", 2, True)
    assert f"{FOLDER}/shop/price.py: total" in told[0]
    assert "around the project services/shop, not to be changed:\ndiscount.md\nother/ (1 files)\nshared.txt" in told[0]
    assert "other/app.py" not in told[0]
    assert "The project is the folder services/shop" in told[0]


def test_a_manifest_that_reaches_beyond_the_folder_is_rejected(monorepo: MakeScenario) -> None:
    outside = WORK | {"files": [{"path": "shared.txt", "operation": "modify", "symbols": []}], "tests": []}
    run = monorepo({"planner": always(plan(outside)), "coder": coder("true", [])})
    assert run.run().status == "unsolved"
    rejected = [event for event in run.events if isinstance(event, GateRejected)]
    assert {event.code for event in rejected} == {"outside_subdir"}
    assert "the project is services/shop (repo.subdir)" in rejected[0].message


def test_what_a_command_changes_beyond_the_folder_is_put_back(monorepo: MakeScenario) -> None:
    heard: list[str] = []
    run = monorepo({"planner": always(plan(WORK)), "coder": coder("echo mine > ../../shared.txt", heard)})
    ended = run.run()
    assert ended.status == "solved"
    assert any("Put back, because it is out of this item's scope: shared.txt" in text for text in heard)
    assert project.git(run.repository, "show", f"{ended.branch}:shared.txt") == "shared\n"
