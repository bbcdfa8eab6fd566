"""The caps a configuration puts on a run and on each stage's share of it."""

from decimal import ROUND_FLOOR, Decimal

from pipeline.config.settings import Settings
from pipeline.memory.budget import Scope
from stages.artifacts import STAGES

MICRO_USD = 1_000_000


def scopes(run_id: str, settings: Settings) -> list[Scope]:
    """Return every scope with a cap: the run's tokens and money, and each stage's share of them."""
    limits = settings.limits
    found = [Scope(f"run/{run_id}/tokens", "tokens", limits.tokens), *_money(f"run/{run_id}/cost", limits.cost)]
    for stage in filter(None, map(settings.stage, STAGES)):
        if stage.tokens is not None:
            found.append(Scope(f"run/{run_id}/{stage.name}/tokens", "tokens", stage.tokens))
        found += _money(f"run/{run_id}/{stage.name}/cost", stage.cost)
    return found


def _money(name: str, amount: Decimal | None) -> list[Scope]:
    if amount is None:
        return []
    return [Scope(name, "micro_usd", int((amount * MICRO_USD).to_integral_value(ROUND_FLOOR)))]
