"""The way to a rung's vendor: its limits, its fallbacks, and whether it said that it would not answer before a time."""

from datetime import UTC, datetime

from pipeline.config.settings import Rung, Settings
from pipeline.errors import ParkedError
from pipeline.memory.pace import Lane
from pipeline.running.run import Run
from pipeline.standing import rung as rung_settings
from pipeline.steps import RunAttempt


def lane_of(settings: Settings, rung: Rung) -> Lane:
    """Return the lane in which calls on a rung wait their turn."""
    vendor = settings.vendors.get(rung.vendor)
    if vendor is None:
        return Lane(rung.vendor, rung.model)
    return Lane(
        vendor=rung.vendor,
        model=rung.model,
        address=vendor.base_url,
        max_concurrency=vendor.max_concurrency,
        requests_per_minute=vendor.requests_per_minute,
        tokens_per_minute=vendor.tokens_per_minute,
    )


def has_fallback(run: Run, step: RunAttempt) -> bool:
    """Tell whether an attempt has a fallback left that it has not been on."""
    return len(rung_settings(run.settings, step.stage, step.rung).fallback) > step.fallback


def require_open(run: Run, step: RunAttempt, rung: Rung) -> None:
    """Let no attempt start into a time of which the vendor said that it would not answer.

    A resume is a person's word that it may answer by now: then it is asked. An attempt that goes on with its fallback
    has started.
    :raises ParkedError: the time lies beyond the attempt's timeout, and no fallback is left.
    """
    named = run.ledger.named_time(lane_of(run.settings, rung))
    begun = run.state.resumed or step.fallback > 0 or has_fallback(run, step)
    if begun or named.until < run.seams.clock() + rung.timeout:
        return
    at = datetime.fromtimestamp(named.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    message = f"{rung.vendor} {rung.model}, {named.kind}: it said that it answers again from {at} on"
    raise ParkedError(message, resume_at=named.until)
