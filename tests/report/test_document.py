from pathlib import Path

from pipeline.problem import Problem
from pipeline.reporting.document import document, refused
from tests.report.story import CALLS, SECOND, SOLVED, TO_FIRST_ATTEMPT, archived, stopped

FIELDS = [
    *("run_id", "ticket_id", "status", "exit_code", "started_at", "seconds", "branch", "commit", "base"),
    *("patch_path", "report_path", "stages", "models", "usage", "cost", "receipt", "resume", "resume_at"),
]
ATTEMPT = [
    *("number", "item", "rung", "vendor", "model", "effort", "outcome", "failure", "seconds", "calls", "usage", "cost"),
    "fallback",
]


def test_a_solved_run_has_every_field() -> None:
    receipt = {"unchanged": True, "changes": []}
    run = archived(SOLVED, CALLS, receipt=receipt)
    shown = document(run, resume=None, patch=Path("/state/change.patch"), report=Path("/state/report.md"))
    assert list(shown) == FIELDS
    assert (shown["status"], shown["exit_code"], shown["branch"]) == ("solved", 0, "stagewright/late-fees")
    assert shown["usage"] == {
        "input": 8800,
        "cache_read": 2500,
        "cache_write": 0,
        "output": 700,
        "reasoning": 0,
        "counted": 7000,
        "cap": 400_000,
    }
    assert shown["cost"] == "0.18"
    assert shown["receipt"] == receipt
    assert (shown["patch_path"], shown["resume"], shown["resume_at"]) == ("/state/change.patch", None, None)


def test_every_stage_is_there_with_its_attempts() -> None:
    shown = document(archived(SOLVED, CALLS), resume=None, patch=None, report=None)
    assert [entry["stage"] for entry in shown["stages"]] == ["planner", "coder", "debugger", "reviewer"]
    coder = shown["stages"][1]["attempts"]
    assert [list(attempt) for attempt in coder] == [ATTEMPT, ATTEMPT]
    assert [(a["number"], a["rung"], a["model"], a["outcome"]) for a in coder] == [
        (1, 1, "small", "red"),
        (2, 2, "strong", "passed"),
    ]
    assert coder[0]["failure"]["tests"] == ["tests/test_fees.py::test_once"]
    assert coder[1]["failure"] is None
    assert shown["stages"][2]["attempts"] == []


def test_models_are_listed_with_their_calls_and_errors() -> None:
    shown = document(archived(SOLVED, CALLS), resume=None, patch=None, report=None)
    assert [(m["vendor"], m["model"], m["calls"], m["errors"], m["cost"]) for m in shown["models"]] == [
        ("scripted", "planner", 1, 0, "0.02"),
        ("scripted", "small", 2, 0, "0.04"),
        ("scripted", "strong", 1, 0, "0.1"),
        ("scripted", "reviewer", 1, 0, "0.02"),
    ]


def test_a_run_under_way_has_nulls_where_nothing_is_known() -> None:
    shown = document(archived([*TO_FIRST_ATTEMPT, SECOND]), resume="stagewright resume x", patch=None, report=None)
    assert list(shown) == FIELDS
    assert (shown["status"], shown["exit_code"], shown["branch"]) == (None, None, None)
    assert shown["stages"][1]["attempts"][1]["outcome"] is None


def test_a_parked_run_says_when_it_goes_on() -> None:
    ending = stopped(status="parked", resume_at=1_800_000_000.0)
    shown = document(archived([*TO_FIRST_ATTEMPT, ending]), resume="x", patch=None, report=None)
    assert (shown["exit_code"], shown["resume_at"]) == (8, "2027-01-15T08:00:00+00:00")


def test_a_refused_run_has_the_same_fields_and_its_problems() -> None:
    problem = Problem(
        code="SW101",
        path="pipeline.yaml",
        line=3,
        column=5,
        key="stages.coder.timeout",
        message="missing",
        hint="add it",
    )
    shown = refused([problem])
    assert list(shown) == [*FIELDS, "problems"]
    assert (shown["run_id"], shown["status"], shown["exit_code"], shown["cost"]) == (None, "refused", 3, "0")
    assert shown["problems"] == [
        {
            "code": "SW101",
            "path": "pipeline.yaml",
            "line": 3,
            "column": 5,
            "key": "stages.coder.timeout",
            "message": "missing",
            "hint": "add it",
        }
    ]
