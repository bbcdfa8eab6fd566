"""One process at a time works on a run, and a dead one never blocks the next."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError, UsageError
from pipeline.memory.runlock import RunLock

HOLDER = """
import sys
from pathlib import Path
from pipeline.memory.runlock import RunLock
with RunLock(Path(sys.argv[1]), "run-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_run_and_gets_it_after_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(UsageError, match=rf"process {holder.pid} is working on run run-1"),
            RunLock(tmp_path, "run-1"),
        ):
            pass
        with RunLock(tmp_path, "run-2"):
            pass
        holder.kill()
        holder.wait()
    with RunLock(tmp_path, "run-1"):
        assert (tmp_path / "locks" / "run-1.lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_free_again_afterwards_and_leaves_no_file(tmp_path: Path) -> None:
    for _ in range(2):
        with RunLock(tmp_path, "run-1"):
            pass
    assert list((tmp_path / "locks").iterdir()) == []


def test_the_same_process_cannot_take_it_twice(tmp_path: Path) -> None:
    with RunLock(tmp_path, "run-1"), pytest.raises(UsageError, match=str(os.getpid())), RunLock(tmp_path, "run-1"):
        pass


def test_a_state_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="--state-dir"), RunLock(tmp_path / "file", "run-1"):
        pass
