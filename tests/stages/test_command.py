"""What the model is told of a command."""

import pytest

from sandbox.base import ExecResult
from stages.command import told


@pytest.mark.parametrize(
    ("done", "shown"),
    [
        (ExecResult(0, b"ok\n", b"", 1.0), "[exit code 0]\nok\n"),
        (ExecResult(3, b"", b"", 1.0), "[exit code 3]\n[no output]"),
        (ExecResult(None, b"so far", b"", 9.0, timed_out=True), "[timed out: killed after 9 seconds]\nso far"),
        (ExecResult(None, b"", b"", 1.0), "[killed]\n[no output]"),
        (
            ExecResult(None, b"", b"", 1.0, disk_full=True),
            "[killed: the work tree grew over its limit (sandbox.disk); remove files before writing more]\n[no output]",
        ),
        (ExecResult(0, b"x", b"", 1.0, stragglers=2), "[exit code 0]\n[2 processes it left running were killed]\nx"),
        (
            ExecResult(0, b"ab", b"", 1.0, stdout_bytes=900),
            "[exit code 0]\n[it wrote 900 bytes; the middle was not kept]\nab",
        ),
        (ExecResult(0, b"caf\xe9", b"", 1.0), "[exit code 0]\ncaf\N{REPLACEMENT CHARACTER}"),
        (ExecResult(0, b"a\0b", b"", 1.0), "[exit code 0]\na\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_the_ending_of_a_command_is_told_truthfully(done: ExecResult, shown: str) -> None:
    assert told(done, 9.0) == shown


@pytest.mark.parametrize("exit_code", [None, 137])
def test_running_out_of_memory_is_told(exit_code: int | None) -> None:
    assert "out of memory" in told(ExecResult(exit_code, b"", b"", 1.0, oom=True), 9.0)


def test_long_output_keeps_head_and_tail() -> None:
    shown = told(ExecResult(0, b"HEAD" + b"x" * 100_000 + b"TAIL", b"", 1.0), 9.0)
    assert len(shown) < 30_100
    assert "HEAD" in shown
    assert shown.endswith("TAIL")


def test_equal_results_are_told_equally_however_long_they_took() -> None:
    assert told(ExecResult(0, b"x", b"", 1.0), 120.0) == told(ExecResult(0, b"x", b"", 2.0), 90.0)
