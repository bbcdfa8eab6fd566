"""The document `run --json` prints: every field always present, null when unknown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import EXIT_CODES
from pipeline.metering.quota import quota
from pipeline.problem import Problem
from pipeline.reporting.account import Account, AttemptAccount, ModelAccount, Spending
from pipeline.reporting.archive import ArchivedRun
from stages.artifacts import STAGES, Failure


def document(run: ArchivedRun, *, resume: str | None, patch: Path | None, report: Path | None) -> dict[str, Any]:
    """Return the JSON values of one run. `patch` and `report` are the exported files."""
    told, ended = run.account, run.account.ended
    return {
        "run_id": told.run_id,
        "ticket_id": run.ticket.id,
        "status": ended.status if ended else None,
        "exit_code": EXIT_CODES[ended.status] if ended else None,
        "started_at": told.started_at.isoformat(),
        "seconds": round(told.seconds, 3),
        "branch": ended.branch if ended else None,
        "commit": ended.commit if ended else None,
        "base": told.started.base,
        "patch_path": str(patch) if patch else None,
        "report_path": str(report) if report else None,
        "stages": _stages(told),
        "models": [_model(entry) for entry in told.models],
        "usage": _usage(told.spending) | {"cap": run.settings.limits.tokens},
        "cost": told.spending.cost_text,
        "receipt": run.receipt,
        "resume": resume,
        "resume_at": _moment(ended.resume_at) if ended else None,
    }


def refused(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the same document for a run that preflight refused: nothing was spent, and `problems` says why."""
    unknown = ("run_id", "ticket_id", "status", "exit_code", "started_at", "seconds", "branch", "commit", "base")
    return {
        **dict.fromkeys(unknown),
        "status": "refused",
        "exit_code": EXIT_CODES["refused"],
        **dict.fromkeys(("patch_path", "report_path")),
        "stages": [{"stage": name, "attempts": []} for name in STAGES],
        "models": [],
        "usage": _usage(Spending()) | {"cap": None},
        "cost": Spending().cost_text,
        **dict.fromkeys(("receipt", "resume", "resume_at")),
        "problems": [_problem(problem) for problem in problems],
    }


def _stages(told: Account) -> list[dict[str, Any]]:
    return [{"stage": name, "attempts": [_attempt(attempt) for attempt in told.of(name)]} for name in STAGES]


def _attempt(attempt: AttemptAccount) -> dict[str, Any]:
    started, ended = attempt.started, attempt.ended
    return {
        "number": started.number,
        "item": started.item,
        "rung": started.rung,
        "vendor": started.vendor,
        "model": started.model,
        "effort": started.effort,
        "outcome": ended.outcome if ended else None,
        "failure": _failure(ended.failure) if ended else None,
        "seconds": round(ended.seconds, 3) if ended else None,
        "calls": attempt.spending.calls,
        "usage": _usage(attempt.spending),
        "cost": attempt.spending.cost_text,
        "fallback": started.fallback,
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    return failure.model_dump(mode="json") if failure else None


def _model(entry: ModelAccount) -> dict[str, Any]:
    return {
        "vendor": entry.vendor,
        "model": entry.model,
        "calls": entry.spending.calls,
        "errors": entry.spending.errors,
        "usage": _usage(entry.spending),
        "cost": entry.spending.cost_text,
        "quota": quota(entry.vendor),
    }


def _usage(spending: Spending) -> dict[str, int | None]:
    return {**spending.usage, "counted": spending.counted}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _problem(problem: Problem) -> dict[str, Any]:
    fields = ("code", "path", "line", "column", "key", "message", "hint")
    return {name: getattr(problem, name) for name in fields}
