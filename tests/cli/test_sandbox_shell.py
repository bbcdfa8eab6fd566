"""`sandbox shell` shows a run's tree in a container of its own, with a terminal or without, and leaves nothing."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.events import AttemptEnded
from pipeline.running.look_inside import Wanted, chosen_tree

TREE = "moorings/schedule.py"


def ended(item: str, number: int, change: str | None) -> AttemptEnded:
    return AttemptEnded(
        stage="coder", item=item, number=number, rung=1, vendor="v", model="m", cause="first", outcome="red",
        change=change,
    )  # fmt: skip


def test_the_last_tree_is_meant_unless_an_item_or_an_attempt_is_named() -> None:
    events = [ended("a", 1, "one"), ended("a", 2, "two"), ended("b", 1, "three"), ended("b", 2, None)]
    assert chosen_tree([*events], Wanted())[1] == "three"
    assert chosen_tree([*events], Wanted(item="a"))[1] == "two"
    assert chosen_tree([*events], Wanted(item="a", attempt=1))[1] == "one"
    assert chosen_tree([*events], Wanted(attempt=2))[1] == "two"
    with pytest.raises(UsageError, match="this run has: --item a --attempt 1, --item a --attempt 2, --item b"):
        chosen_tree([*events], Wanted(item="b", attempt=2))
    assert chosen_tree([], Wanted()) == (None, None, "the base commit; no attempt left a tree")


class Player:
    """A state folder with the demo's run in it."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def run(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline", *words, "--state-dir", str(self.state)]
        return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)

    def containers(self) -> str:
        command = ["docker", "ps", "-a", "--no-trunc", "--format", "{{.Labels}}"]
        rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        run = self.run("runs").stdout.splitlines()[1].split()[0]
        return "\n".join(row for row in rows if f"stagewright.run={run}" in row)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Player:
    folder = tmp_path_factory.mktemp("played")
    player = Player(folder / "state")
    made = player.run("demo", str(folder / "demo"), "--keep-sandbox")
    assert made.returncode == 0, made.stderr
    return player


@pytest.mark.docker
def test_one_command_sees_the_tree_and_gives_its_exit_code_and_streams(played: Player) -> None:
    done = played.run("sandbox", "shell", "last", "-c", "git status --short; id -u; echo aside >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, f" M {TREE}\n?? tests/test_month_end.py\n10001\n")
    assert "coder month-end attempt 2 (passed)" in done.stderr
    assert done.stderr.endswith("aside\n")
    assert played.containers() == ""


@pytest.mark.docker
def test_an_earlier_attempt_s_tree_is_another_one(played: Player) -> None:
    first, last = (played.run("sandbox", "shell", "last", "--attempt", n, "-c", f"cat {TREE}").stdout for n in "12")
    assert first
    assert first != last


@pytest.mark.docker
def test_each_attempt_s_whole_tree_is_kept_when_it_was_asked_for(played: Player) -> None:
    archives = sorted(played.state.glob("runs/*/kept/*"))
    assert [archive.name for archive in archives] == ["month-end-1.tar.gz", "month-end-2.tar.gz"]
    assert {archive.stat().st_mode & 0o777 for archive in archives} == {0o600}
    assert "with everything that was kept" in played.run("sandbox", "shell", "last", "-c", "true").stderr


@pytest.mark.docker
def test_without_a_terminal_a_shell_is_refused_before_anything_starts(played: Player) -> None:
    done = played.run("sandbox", "shell", "last")
    assert done.returncode == 2
    assert "type `-c COMMAND`" in done.stderr


@pytest.mark.docker
def test_a_terminal_is_attached_to_a_shell_whose_end_removes_the_container(played: Player) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "pipeline", "sandbox", "shell", "last", "--state-dir", str(played.state)]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        os.write(ours, b"test -t 0 && pwd; cat tests/test_month_end.py | wc -l; exit 7\n")
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 7, shown
    assert b"\r/workspace\r\n" in shown
    assert played.containers() == ""


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""
