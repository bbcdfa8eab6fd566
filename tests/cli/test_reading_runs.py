import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.config.load import canonical_json
from pipeline.events import AnyEvent, RunStarted
from pipeline.memory.database import Store, open_store
from pipeline.memory.journal import Journal
from pipeline.options import DATABASE
from pipeline.reporting.result import result
from pipeline.running.changes import dump
from sandbox.base import FileState, Snapshot
from tests.git.repositories import fingerprint, git, make_repository
from tests.report.story import BEGAN, FIRST, SETTINGS, SOLVED, TICKET, TO_FIRST_ATTEMPT, ended, stopped

PATCH = b"diff --git a/fees.py b/fees.py\n"
OLD, NEW = "20261120-100000-000aaaaaa", "20261121-100000-000bbbbbb"


class Clock:
    """Two seconds an event."""

    def __init__(self) -> None:
        self.now = BEGAN.timestamp()

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


class State:
    """A state folder with recorded runs."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store

    def journal(self, run_id: str) -> Journal:
        return Journal(self.store, run_id, clock=Clock(), redact=lambda text: text)

    def record(self, run_id: str, events: Sequence[AnyEvent]) -> None:
        journal = self.journal(run_id)
        for event in events:
            if isinstance(event, RunStarted):
                config, ticket = journal.put(canonical_json(SETTINGS)), journal.put(TICKET.model_dump_json().encode())
                event = event.model_copy(update={"config": config, "ticket": ticket})  # noqa: PLW2901 - with its blobs
            journal.append(event)

    def put(self, content: bytes) -> str:
        return self.journal(OLD).put(content)

    def run(self, *words: str) -> int:
        return main([*words, "--state-dir", str(self.folder)])


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    folder = tmp_path / "state"
    store = open_store(f"sqlite:///{folder / DATABASE}")
    try:
        yield State(folder, store)
    finally:
        store.close()


@pytest.fixture
def two(state: State) -> State:
    receipt = state.put(b'{"unchanged": true, "changes": []}')
    solved = SOLVED[-1].model_copy(update={"patch": state.put(PATCH), "receipt": receipt})
    state.record(OLD, [*SOLVED[:-1], solved])
    state.record(NEW, [*TO_FIRST_ATTEMPT, stopped(patch=state.put(PATCH))])
    return state


def test_runs_lists_the_newest_first(two: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("runs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["RUN", "TICKET", "STATUS", "TOKENS", "COST", "AGE"]
    assert lines[1].split()[:4] == [NEW, "late-fees", "budget", "stop"]
    assert lines[2].split()[:3] == [OLD, "late-fees", "solved"]


def test_runs_as_json_is_one_document(two: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("runs", "--json", "--limit", "1") == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["run_id"], run["status"], run["tokens"], run["cost"]) for run in runs] == [
        (NEW, "budget_stop", 0, "0")
    ]


def test_without_runs_nothing_goes_to_standard_output(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert state.run("runs") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no runs yet" in printed.err


def test_show_prints_each_event_on_a_line(two: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("show", OLD) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SOLVED)
    assert lines[0].endswith("run of ticket late-fees on 0123456789ab")


@pytest.mark.parametrize("option", ["--json", "--events"])
def test_show_prints_each_event_with_every_field(two: State, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("show", "last", option) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(TO_FIRST_ATTEMPT) + 2))
    assert {event["run_id"] for event in events} == {NEW}
    assert events[-1]["kind"] == "run.ended"
    assert events[-1]["config_key"] == "limits.tokens"


def test_the_report_names_the_command_that_goes_on(two: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("report", "last") == 0
    command = f"stagewright resume {NEW} --state-dir {two.folder} --set limits.tokens=800000"
    assert f"\n    {command}\n" in capsys.readouterr().out


def test_the_json_report_is_one_document(two: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("report", OLD, "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["status"], report["receipt"]["unchanged"]) == ("solved", True)
    assert Path(report["report_path"]).read_text().startswith("# Late fees")


def test_the_patch_is_printed_byte_for_byte(two: State, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert two.run("patch", "last") == 0
    assert capfdbinary.readouterr().out == PATCH


def test_a_run_is_found_by_the_beginning_of_its_id(two: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.run("show", "20261121") == 0
    assert two.run("show", "202611") == 2
    assert OLD in capsys.readouterr().err


def test_exports_are_private_and_rebuilt_from_the_database(two: State) -> None:
    document = result(two.store, NEW)
    report, patch = Path(document["report_path"]), Path(document["patch_path"])
    assert patch.read_bytes() == PATCH
    assert report.stat().st_mode & 0o777 == 0o600
    assert two.folder in report.parents
    report.unlink()
    patch.write_bytes(b"tampered")
    assert result(two.store, NEW) == document
    assert patch.read_bytes() == PATCH
    assert report.exists()


def test_a_run_without_a_change_has_no_patch(
    state: State, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    make_repository(tmp_path / "club")
    state.record(OLD, TO_FIRST_ATTEMPT[:3])
    assert state.run("patch", "last") == 0
    printed = capfdbinary.readouterr()
    assert printed.out == b""
    assert b"changed nothing" in printed.err


def test_the_patch_of_a_killed_run_is_rebuilt_without_touching_the_repository(
    state: State, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "club", {"fees.py": b"FEE = 20\n"})
    change = dump(Snapshot({"fees.py": FileState("100644", b"FEE = 10\n")}), state.put)
    begun = TO_FIRST_ATTEMPT[0].model_copy(
        update={"repository": str(repository), "base": git(repository, "rev-parse", "HEAD")}
    )
    state.record(OLD, [begun, *TO_FIRST_ATTEMPT[1:-1], ended(FIRST, "red", change=change, reusable=True)])
    before = fingerprint(repository)
    assert state.run("patch", "last") == 0
    patch = capfdbinary.readouterr().out
    assert fingerprint(repository) == before
    subprocess.run(["git", "apply"], cwd=repository, input=patch, check=True)
    assert (repository / "fees.py").read_bytes() == b"FEE = 10\n"
