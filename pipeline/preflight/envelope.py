"""The worst case a configuration allows, worked out from the configuration alone. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.config.network_rules import network_in_words
from pipeline.config.scalars import show_duration
from pipeline.config.settings import Rung, Settings, StageSettings, VendorSettings
from pipeline.metering.prices import pricing
from pipeline.metering.quota import quota
from pipeline.surface import STALL_SECONDS
from stages.artifacts import STAGES, StageName

HEADROOM = 4_000
SMALL = 250_000


@dataclass(frozen=True, slots=True)
class StageEnvelope:
    """What one stage can come to: attempts of its own, attempts with every route and redo, and its time. Seconds."""

    name: StageName
    attempts: int
    at_most: int
    rungs: tuple[Rung, ...]
    seconds: float
    tokens: int | None
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a run can come to. `seconds` is the longest run, `unbounded_seconds` what attempts alone could take.

    `cost` is the most the token cap can cost, cache reads apart; None where a price is unknown (`unpriced`).
    """

    stages: tuple[StageEnvelope, ...]
    work_items: int
    tokens: int
    seconds: float
    unbounded_seconds: float
    cost: Decimal | None
    cost_limit: Decimal | None
    unpriced: tuple[str, ...]
    network: str
    pace: tuple[str, ...]
    folder: str
    by_subscription: tuple[str, ...]
    defaults: tuple[str, ...]


def envelope(settings: Settings, *, defaults: Sequence[str] = ()) -> Envelope:
    """Return the worst case of a configuration; `defaults` are listed as they are."""
    counts = attempts_at_most(settings)
    stages = tuple(_stage(stage, counts[stage.name]) for stage in _configured(settings))
    rungs = {(one.vendor, one.model) for stage in _configured(settings) for one in stage.served_by}
    ceilings = {name: _ceiling(*name, settings) for name in sorted(rungs)}
    known = [ceiling for ceiling in ceilings.values() if ceiling is not None]
    total = sum(stage.seconds for stage in stages)
    return Envelope(
        stages=stages,
        work_items=settings.limits.work_items,
        tokens=settings.limits.tokens,
        seconds=min(total, settings.limits.wall_clock),
        unbounded_seconds=total,
        cost=max(known) if len(known) == len(ceilings) else None,
        cost_limit=settings.limits.cost,
        unpriced=tuple(_unpriced(ceilings, subscription=False)),
        by_subscription=tuple(_unpriced(ceilings, subscription=True)),
        network=network_in_words(settings.sandbox),
        pace=tuple(_pace(settings.vendors.values())),
        folder=settings.repo.subdir,
        defaults=tuple(defaults),
    )


def attempts_at_most(settings: Settings) -> dict[StageName, int]:
    """Return how many attempts each stage can have in one run, with every item, route, re-plan and redo."""
    planner, coder = settings.planner.attempts, settings.coder.attempts
    reviewer = settings.reviewer.attempts if settings.reviewer else 0
    debugger = settings.debugger.attempts if settings.debugger and _can_act(settings.debugger) else 0
    items, again = settings.limits.work_items, planner - 1 + max(reviewer - 1, 0)
    return {
        "planner": planner + debugger,
        "coder": items * (coder + debugger) + again * (1 + debugger),
        "reviewer": reviewer + debugger if reviewer else 0,
        "debugger": debugger * (items + again) + debugger,
    }


def _can_act(debugger: StageSettings) -> bool:
    """Whether it can attach and route at all; the Reviewer leaves no evidence to attach to."""
    return bool(set(debugger.attaches_to) - {"reviewer"}) and bool(debugger.can_route_to)


def _configured(settings: Settings) -> list[StageSettings]:
    return [stage for stage in (settings.stage(name) for name in STAGES) if stage is not None]


def _stage(stage: StageSettings, at_most: int) -> StageEnvelope:
    longest = max(rung.timeout for rung in stage.rungs)
    return StageEnvelope(stage.name, stage.attempts, at_most, stage.rungs, at_most * longest, stage.tokens, stage.cost)


def _ceiling(vendor: str, model: str, settings: Settings) -> Decimal | None:
    price = pricing(vendor, model, settings)
    tokens = settings.limits.tokens
    return max(price.ceiling(tokens, 0), price.ceiling(0, tokens)) if price else None


def _unpriced(ceilings: Mapping[tuple[str, str], Decimal | None], *, subscription: bool) -> Iterable[str]:
    missing = (name for name, ceiling in ceilings.items() if ceiling is None)
    return ("/".join(name) for name in missing if (quota(name[0]) is not None) == subscription)


def _pace(vendors: Iterable[VendorSettings]) -> Iterable[str]:
    """Yield a line for each vendor with limits of its own."""
    for vendor in vendors:
        limits = (
            (vendor.max_concurrency, "calls at a time"),
            (vendor.requests_per_minute, "calls a minute"),
            (vendor.tokens_per_minute, "tokens a minute"),
        )
        said = [f"{limit:_} {words}" for limit, words in limits if limit is not None]
        if said:
            yield f"{vendor.name} at most {', '.join(said)}, all runs of this machine together"


def render(found: Envelope) -> str:
    """Return the envelope as the lines `check` prints."""
    lines = ["Envelope: what a run can come to at most"]
    for stage in found.stages:
        lines += _stage_lines(stage)
    lines += ["", *_time_lines(found), *_token_lines(found), *_cost_lines(found)]
    lines.append(f"  network: {found.network}")
    lines += [f"  pace: {line}" for line in found.pace]
    if found.folder:
        lines.append(f"  project: {found.folder}, where commands run and outside which nothing may change")
    if found.defaults:
        lines += ["", "Defaults in force:", *(f"  {line}" for line in found.defaults)]
    return "\n".join(lines) + "\n"


def _stage_lines(stage: StageEnvelope) -> Iterable[str]:
    shares = [f"{stage.tokens:_} tokens" if stage.tokens else "", f"${stage.cost}" if stage.cost else ""]
    share = ", ".join(part for part in shares if part)
    yield ""
    yield (
        f"  {stage.name}: {_count(stage.attempts, 'attempt')}, {stage.at_most} with every item, route and redo"
        + (f"; its share: {share}" if share else "")
    )
    last = len(stage.rungs)
    for number, rung in enumerate(stage.rungs, start=1):
        yield f"    {_attempts(number, last, stage.attempts):<14} {_rung(rung)}"
        if rung.fallback:
            yield f"    {'in an outage':<14} {', then '.join(_who(one) for one in rung.fallback)}, in the time left"


def _attempts(number: int, last: int, attempts: int) -> str:
    """Say which of a stage's own attempts a rung serves."""
    if number > attempts:
        return "after a route" if number == last else "never"
    end = max(attempts, number) if number == last else number
    return f"attempt {number}" if end == number else f"attempts {number}-{end}"


def _who(rung: Rung) -> str:
    like = f" (like {rung.like})" if rung.like else ""
    effort = f" at effort {rung.effort}" if rung.effort else ""
    return f"{rung.vendor}/{rung.model}{like}{effort}"


def _rung(rung: Rung) -> str:
    like = f" (like {rung.like})" if rung.like else ""
    knobs = [
        f"effort {rung.effort}" if rung.effort else "",
        f"temperature {rung.temperature:g}" if rung.temperature is not None else "",
        f"silent for at most {show_duration(rung.stall)}" if rung.stall != STALL_SECONDS else "",
    ]
    parts = [f"{rung.vendor}/{rung.model}{like}", *filter(None, knobs)]
    parts += [f"{show_duration(rung.timeout)} each", f"{rung.max_output_tokens:_} output tokens a call"]
    return ", ".join(parts)


def _time_lines(found: Envelope) -> Iterable[str]:
    yield f"  longest run: {show_duration(found.seconds)}" + (
        f" (limits.wall_clock; {found.work_items} work items with every attempt could take "
        f"{found.unbounded_seconds / 3600:.1f} h)"
        if found.unbounded_seconds > found.seconds
        else " of attempts, checks apart"
    )


def _token_lines(found: Envelope) -> Iterable[str]:
    yield f"  tokens: at most {found.tokens:_} (input - cache reads + output, every call)"
    yield f"  headroom: a run needs its longest prompt + {HEADROOM:_} tokens unspent to make its last calls,"
    yield "            because cached input is reserved in full; a cap or share below " + f"{SMALL:_} is small"


def _cost_lines(found: Envelope) -> Iterable[str]:
    if found.cost_limit is not None:
        yield f"  cost: at most ${found.cost_limit} (limits.cost)"
    elif found.cost is not None:
        yield f"  cost: at most ${found.cost:.2f} for these tokens at the dearest price; cache reads come on top"
    elif found.unpriced:
        yield f"  cost: unknown, no price for {', '.join(found.unpriced)}"
    if found.by_subscription:
        yield f"  quota: {', '.join(found.by_subscription)} counts against your subscription, not in dollars"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
