"""How to go on after a run: the exact command to type next."""

import shlex
from collections.abc import Sequence
from decimal import Decimal

from pipeline.config.settings import Settings, StageSettings
from pipeline.errors import Status
from pipeline.events import RunEnded
from pipeline.reporting.account import decimal_text

RAISE = 2  # a bound that was met is offered again at this many times its value


def resume_command(run_id: str, ended: RunEnded | None, settings: Settings, options: Sequence[str] = ()) -> str | None:
    """Return the command that continues a run, None for a solved one.

    `options` are the words that name the database when it is not the default one. `ended` is None for a run
    that was interrupted.
    """
    status: Status | None = ended.status if ended else None
    if status == "solved":
        return None
    words = ["stagewright", "resume", run_id, *options]
    if ended and status in ("budget_stop", "timed_out", "unsolved"):
        words += _raised(ended.config_key, settings)
    if status == "parked":
        words.append("--wait")
    if status == "needs_human":
        words += ["--guidance", "YOUR ANSWER"]
    return shlex.join(words)


def _raised(key: str | None, settings: Settings) -> list[str]:
    """Return `--set KEY=VALUE` with room above the bound that ended the run, nothing for a bound that is no limit."""
    value = _higher(key or "", settings)
    return ["--set", f"{key}={value}"] if value else []


def _higher(key: str, settings: Settings) -> str | None:
    match key.split("."):
        case ["limits", "tokens"]:
            return str(settings.limits.tokens * RAISE)
        case ["limits", "cost"]:
            return _doubled(settings.limits.cost)
        case ["limits", "wall_clock"]:
            return f"{settings.limits.wall_clock * RAISE:.0f}s"
        case ["stages", name, field]:
            stage = next((stage for stage in _stages(settings) if stage.name == name), None)
            return _higher_of_stage(field, stage) if stage else None
        case _:  # any other line is no limit that a number could raise
            return None


def _higher_of_stage(field: str, stage: StageSettings) -> str | None:
    match field:
        case "tokens":
            return str(stage.tokens * RAISE) if stage.tokens else None
        case "cost":
            return _doubled(stage.cost)
        case "retry_budget":
            return str(stage.retry_budget + 1)
        case "timeout":
            return f"{stage.rungs[0].timeout * RAISE:.0f}s"
        case _:  # as above
            return None


def _doubled(cost: Decimal | None) -> str | None:
    return decimal_text(cost * RAISE) if cost else None


def _stages(settings: Settings) -> list[StageSettings]:
    named = (settings.planner, settings.coder, settings.debugger, settings.reviewer)
    return [stage for stage in named if stage]
