import shlex

import pytest

from pipeline.reporting.advice import resume_command
from tests.report.story import RUN, SETTINGS, stopped


def test_a_solved_run_needs_no_command() -> None:
    assert resume_command(RUN, stopped(status="solved"), SETTINGS) is None


def test_an_interrupted_run_goes_on_as_it_is() -> None:
    assert resume_command(RUN, None, SETTINGS) == f"stagewright resume {RUN}"


@pytest.mark.parametrize(
    ("status", "key", "raised"),
    [
        ("budget_stop", "limits.tokens", "limits.tokens=800000"),
        ("budget_stop", "limits.cost", "limits.cost=5"),
        ("budget_stop", "stages.coder.tokens", "stages.coder.tokens=300000"),
        ("timed_out", "limits.wall_clock", "limits.wall_clock=2400s"),
        ("unsolved", "stages.coder.retry_budget", "stages.coder.retry_budget=2"),
        ("unsolved", "stages.planner.timeout", "stages.planner.timeout=120s"),
    ],
)
def test_a_limit_that_ended_the_run_is_raised(status: str, key: str, raised: str) -> None:
    command = resume_command(RUN, stopped(status=status, config_key=key), SETTINGS)
    assert command == f"stagewright resume {RUN} --set {raised}"


@pytest.mark.parametrize("key", [None, "stages.debugger.retry_budget", "stages.planner.tokens", "checks", "limits"])
def test_a_line_that_is_no_limit_is_not_raised(key: str | None) -> None:
    command = resume_command(RUN, stopped(status="unsolved", config_key=key), SETTINGS)
    assert command == f"stagewright resume {RUN}"


def test_a_question_is_answered_on_the_command_line() -> None:
    command = resume_command(RUN, stopped(status="needs_human", config_key=None), SETTINGS)
    assert command is not None
    assert shlex.split(command)[3] == "--guidance"


def test_the_command_names_the_database_it_needs() -> None:
    command = resume_command(RUN, None, SETTINGS, ["--state-dir", "/my runs"])
    assert command == f"stagewright resume {RUN} --state-dir '/my runs'"
