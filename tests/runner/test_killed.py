"""A process that dies at any event: the run goes on where its journal ends, and comes to the same branch."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from pipeline.config.settings import StageSettings
from pipeline.events import AnyEvent
from pipeline.memory.journal import run_ids
from pipeline.reporting.archive import read_run
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, always, by_turn
from tests.runner.scenario import DEBUGGER, REVIEWER, Scenario, audited, rung, settings

FINDING = {"severity": "major", "path": "shop/price.py", "line": 6, "rule": None, "message": "name the hundred"}


def edits(old: str, new: str) -> Brain:
    return by_turn(
        Say(calls=[("edit_file", {"path": "shop/price.py", "old": old, "new": new})]),
        Say(calls=[("finish", {"summary": "done"})]),
    )


def strong(conversation: Conversation) -> Say:
    opening = conversation.texts[0]
    if "review-1" in opening.partition("\n")[0]:
        return edits("(100 -", "(1_00 -")(conversation)
    if "corrective brief" in opening:
        return edits(project.HALFWAY, project.RIGHT)(conversation)
    return edits(project.WRONG, project.HALFWAY)(conversation)


def reviewer(conversation: Conversation) -> Say:
    done = "(1_00 -" in conversation.texts[0]
    return Say(calls=[("submit_review", {"verdict": "approve" if done else "request_changes", "findings": [FINDING]})])


def story(folder: Path) -> Scenario:
    """Every stage acts: red, escalated and red, a diagnosis, green, a review, a redo, an approval."""
    brains: dict[str, Brain] = {
        "planner": project.planner(),
        "coder": project.coder(project.WRONG),
        "strong": strong,
        "debugger": project.debugger(),
        "reviewer": reviewer,
    }
    return Scenario(folder, brains, settings(debugger=DEBUGGER, reviewer=REVIEWER))


def outage(folder: Path) -> Scenario:
    """The coder's vendor is down, and its fallback does the work."""
    brains: dict[str, Brain] = {
        "planner": project.planner(),
        "coder": always(Say(status=500)),
        "elsewhere": project.coder(),
    }
    coder = StageSettings(name="coder", rungs=(rung("coder", fallback=(rung("elsewhere"),)),), retry_budget=1)
    return Scenario(folder, brains, settings(coder=coder))


def killed_at(folder: Path, kind: str, occurrence: int, story: Callable[[Path], Scenario] = story) -> Scenario:
    """Return the scenario after another process ran it and was killed when an event was stored."""
    child = get_context("spawn").Process(target=_run_until, args=(story, folder, kind, occurrence))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL, "it came to its end before"
    scenario = story(folder)
    (scenario.run_id,) = run_ids(scenario.store)
    return scenario


def _run_until(story: Callable[[Path], Scenario], folder: Path, kind: str, occurrence: int) -> None:
    scenario = story(folder)
    scenario.heard = _Killer(kind, occurrence)
    scenario.run()


class _Killer:
    """Kills its own process as `kill -9` does."""

    def __init__(self, kind: str, occurrence: int) -> None:
        self._kind = kind
        self._left = occurrence

    def __call__(self, event: AnyEvent) -> None:
        self._left -= event.kind == self._kind
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("kind", "occurrence"),
    [
        pytest.param("call.reserved", 4, id="during a call of the coder"),
        pytest.param("check.finished", 2, id="during an attempt whose checks ran"),
        pytest.param("route.chosen", 1, id="after a diagnosis"),
        pytest.param("attempt.ended", 8, id="after the approval"),
    ],
)
def test_a_run_that_dies_is_resumed_to_the_same_end(tmp_path: Path, kind: str, occurrence: int) -> None:
    scenario = killed_at(tmp_path, kind, occurrence)
    try:
        ended = scenario.resume()
        assert ended.status == "solved", ended
        assert "(1_00 -" in project.git(scenario.repository, "show", f"{ended.branch}:shop/price.py")
        audited(scenario)
    finally:
        scenario.store.close()


@pytest.mark.parametrize(
    ("kind", "occurrence"),
    [
        pytest.param("attempt.ended", 2, id="between an attempt and its fallback"),
        pytest.param("attempt.started", 3, id="on the fallback"),
    ],
)
def test_a_run_that_dies_around_its_fallback_tells_of_each_stretch(tmp_path: Path, kind: str, occurrence: int) -> None:
    scenario = killed_at(tmp_path, kind, occurrence, outage)
    try:
        assert scenario.resume().status == "solved"
        audited(scenario)
        told = read_run(scenario.store, scenario.run_id).account
        assert all(attempt.ended is not None for attempt in told.attempts)
        ended = [attempt.ended for attempt in told.of("coder") if attempt.ended is not None]
        assert [(each.fallback, each.continues_on) for each in ended[:2]] == [(0, 1), (1, None)]
        assert sum(attempt.spending.calls for attempt in told.attempts) == told.spending.calls
    finally:
        scenario.store.close()


def test_a_resume_with_other_fallbacks_does_not_go_on_with_what_had_the_outage(tmp_path: Path) -> None:
    scenario = killed_at(tmp_path, "attempt.ended", 2, outage)
    try:
        swapped = StageSettings(name="coder", rungs=(rung("elsewhere", fallback=(rung("coder"),)),), retry_budget=1)
        assert scenario.resume(coder=swapped).status == "solved"
        coder = read_run(scenario.store, scenario.run_id).account.of("coder")
        assert [(each.started.number, each.started.model) for each in coder] == [(1, "coder"), (2, "elsewhere")]
    finally:
        scenario.store.close()
