"""The example repository and its recorded session say what they do."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.load import load
from pipeline.resources import resource
from pipeline.tickets.reading import read_ticket
from stages.artifacts import Manifest, Review

NAMED = "tests/test_month_end.py::test_a_short_month_does_not_move_the_later_charges"


class Example:
    """A copy of the example, in which recorded tool calls are carried out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = yaml.safe_load((folder / "replies.yaml").read_text())["models"]

    def play(self, model: str) -> None:
        for reply in self.session[model][0]["replies"]:
            for call in reply["calls"]:
                self._carry_out(call["name"], call["arguments"])

    def artifact(self, model: str) -> Mapping[str, Any]:
        last: Mapping[str, Any] = self.session[model][0]["replies"][-1]["calls"][-1]["arguments"]
        return last

    def passes(self, *tests: str) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", *tests]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        assert done.returncode in {0, 1}, done.stdout
        return done.returncode == 0

    def command(self, line: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, *line.split()[1:]]
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False)

    def _carry_out(self, tool: str, arguments: Mapping[str, Any]) -> None:
        match tool:
            case "write_file":
                (self.folder / arguments["path"]).write_text(arguments["content"])
            case "edit_file":
                file = self.folder / arguments["path"]
                text = file.read_text()
                assert text.count(arguments["old"]) == 1, "an edit has to match exactly once"
                file.write_text(text.replace(arguments["old"], arguments["new"]))
            case "run" if arguments["command"].startswith("python3 "):
                assert self.command(arguments["command"]).returncode == 0
            case _:  # reading changes nothing
                pass


@pytest.fixture
def example(tmp_path: Path) -> Example:
    shutil.copytree(resource("demo"), tmp_path / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    return Example(tmp_path / "demo")


def test_the_session_fails_once_and_then_fixes_what_the_ticket_describes(example: Example) -> None:
    ticket = "python3 -m moorings 2026-01-31 --months 3"
    assert example.passes()
    assert "ValueError: day is out of range for month" in example.command(ticket).stderr
    example.play("recorded-small")
    assert not example.passes(NAMED)
    assert example.passes("tests/test_schedule.py", "tests/test_statement.py")
    example.play("recorded-strong")
    assert example.passes()
    days = [line.split()[0] for line in example.command(ticket).stdout.splitlines()]
    assert days == ["2026-01-31", "2026-02-28", "2026-03-31", "total"]


def test_the_recorded_manifest_names_the_test_and_review_approves(example: Example) -> None:
    manifest = Manifest.model_validate(example.artifact("recorded-planner"))
    (item,) = manifest.work_items
    assert item.tests == (NAMED,)
    assert {(change.path, change.operation) for change in item.files} == {
        ("moorings/schedule.py", "modify"),
        ("tests/test_month_end.py", "create"),
    }
    assert Review.model_validate(example.artifact("recorded-reviewer")).verdict == "approve"


def test_the_configuration_of_the_example_has_no_problem(example: Example) -> None:
    loaded = load(example.folder / "pipeline.yaml", overrides=(), environ={}, trusted=False)
    assert [problem.line_text() for problem in (*loaded.problems, *loaded.warnings)] == []
    assert loaded.settings is not None
    assert [rung.model for rung in loaded.settings.coder.rungs] == ["recorded-small", "recorded-strong"]


def test_the_ticket_of_the_example_is_read(example: Example) -> None:
    ticket = read_ticket(str(example.folder / "TICKET.md"), stdin=str)
    assert ticket.id == "month-end-charges"
    assert len(ticket.acceptance) == 3
    assert ticket.scope.deny == ("moorings/rates.py", "moorings/money.py")


def test_the_same_ticket_can_be_run_on_a_local_server_without_a_key() -> None:
    loaded = load(resource("demo") / "local.yaml", overrides=(), environ={}, trusted=False)
    assert (loaded.problems, loaded.warnings) == ((), ())
    assert loaded.settings is not None
    assert {vendor.name: vendor.base_url for vendor in loaded.settings.vendors.values()} == {
        "ollama": "http://127.0.0.1:11434/v1"
    }


def test_the_same_ticket_can_be_run_with_real_models() -> None:
    loaded = load(resource("demo") / "real.yaml", overrides=(), environ={}, trusted=True)
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert {rung.vendor for rung in loaded.settings.coder.rungs} == {"anthropic"}
