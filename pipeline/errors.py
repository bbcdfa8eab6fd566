"""The endings of a run and the errors that stop a command, each with its exit code."""

from typing import Literal

Status = Literal[
    "solved",
    "unsolved",
    "refused",
    "needs_human",
    "budget_stop",
    "timed_out",
    "infrastructure",
    "parked",
    "cancelled",
]
EXIT_CODES: dict[Status, int] = {
    "solved": 0,
    "unsolved": 1,
    "refused": 3,
    "needs_human": 4,
    "budget_stop": 5,
    "timed_out": 6,
    "infrastructure": 7,
    "parked": 8,
    "cancelled": 130,
}
USAGE_ERROR = 2


class StagewrightError(Exception):
    """An error a user reads: the message says what, with which value, and what to do."""

    exit_code = 7
    label = "error: "


class UsageError(StagewrightError):
    """The command line asks for something that does not exist."""

    exit_code = USAGE_ERROR


class InfrastructureError(StagewrightError):
    """Something around the run failed: engine, git, disk, database, or a vendor for good."""


class GitError(InfrastructureError):
    """A git command of ours failed or a repository is not what it must be."""


class BudgetOpenError(StagewrightError):
    """The breaker opened: the run starts no new call. No stage may catch it."""

    exit_code = 5

    def __init__(self, message: str, *, scope: str) -> None:
        super().__init__(message)
        self.scope = scope


class ParkedError(StagewrightError):
    """A call may not begin before a time beyond the attempt's deadline. `resume_at` is UTC seconds since the epoch.

    `config_key` is the limit of the user's own that says so, None where the vendor named the time.
    """

    exit_code = 8

    def __init__(self, message: str, *, resume_at: float, config_key: str | None = None) -> None:
        super().__init__(message)
        self.resume_at = resume_at
        self.config_key = config_key
