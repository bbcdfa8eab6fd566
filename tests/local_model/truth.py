"""Hold a finished run against what every run owes its user, whatever its model said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import EXIT_CODES
from tests.e2e.project import fingerprint, git
from tests.e2e.world import World

# What a timeout may be exceeded by: a busy machine kills a container, or hears of a closed connection, a bit later.
GRACE_SECONDS = 5.0


def hold(world: World, document: Mapping[str, Any], before: str, *, most: Mapping[str, int]) -> None:
    """Check a run's document, events, report and repository; `most` is each stage's largest number of attempts."""
    events = world.events(document["run_id"])
    assert EXIT_CODES[document["status"]] == document["exit_code"]
    _is_within_bounds(document, events, most)
    _counts_the_same(document, events)
    if document["status"] == "solved":
        _was_shown_to_work(world, document, events)
    else:
        assert document["branch"] is document["commit"] is None
        assert fingerprint(world.repository) == before, "a run that is not solved changed the repository"
        _names_its_ending(world, document, events[-1])
    assert document["receipt"]["unchanged"]
    _tells_no_defect(world, document["run_id"])


def attempts(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every attempt with its stage."""
    return [each | {"stage": stage["stage"]} for stage in document["stages"] for each in stage["attempts"]]


def _is_within_bounds(document: Mapping[str, Any], events: list[dict[str, Any]], most: Mapping[str, int]) -> None:
    assert document["usage"]["counted"] <= document["usage"]["cap"]
    timeouts = {(e["stage"], e["item"], e["number"]): e["timeout"] for e in events if e["kind"] == "attempt.started"}
    for stage in document["stages"]:
        assert len(stage["attempts"]) <= most[stage["stage"]], stage
    for each in attempts(document):
        seat = (each["stage"], each["item"], each["number"])
        assert each["seconds"] <= timeouts[seat] + GRACE_SECONDS, each
        assert (each["outcome"] == "passed") == (each["failure"] is None), each
        if each["failure"] is not None:
            assert each["failure"]["kind"], each
            assert each["failure"]["message"], each


def _counts_the_same(document: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
    settled = [event for event in events if event["kind"] == "call.settled"]
    assert document["usage"]["counted"] == sum(event["tokens"] for event in settled)
    for name in ("input", "cache_read", "output", "counted"):
        total = document["usage"][name]
        assert total == sum(each["usage"][name] for each in attempts(document)), name
        assert total == sum(each["usage"][name] for each in document["models"]), name


def _was_shown_to_work(world: World, document: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
    finals = [event for event in events if event["kind"] == "check.finished" and event["phase"] == "final"]
    assert finals
    assert finals[-1]["green"]
    assert git(world.repository, "rev-parse", document["branch"]).strip() == document["commit"]


def _names_its_ending(world: World, document: Mapping[str, Any], ended: Mapping[str, Any]) -> None:
    assert ended["kind"] == "run.ended"
    assert ended["status"] == document["status"]
    assert ended["bound"], ended
    assert ended["reason"], ended
    assert document["resume"], document
    report = Path(document["report_path"]).read_text(encoding="utf-8")
    assert ended["reason"] in report
    assert document["resume"] in report
    if ended["status"] in {"unsolved", "needs_human"}:
        assert ended["stage"], ended
        assert ended["failure"]["message"], ended
        assert f"{world.config}:" in ended["config_line"], ended


def _tells_no_defect(world: World, run_id: str) -> None:
    for words in (["show", run_id], ["report", run_id], ["report", run_id, "--format", "html"], ["patch", run_id]):
        done = world.run(*words)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert "defect" not in done.stdout + done.stderr, done.stderr
