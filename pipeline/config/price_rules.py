"""The rules of prices: known ones under a cost limit, and a Debugger not weaker than what it debugs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipeline.config.keypath import child
from pipeline.config.report import Report
from pipeline.config.rungs import RungDraft, StageDraft
from pipeline.config.settings import Settings
from pipeline.metering.prices import pricing
from pipeline.metering.quota import quota

SAMPLE = 1_000  # tokens in and out by which two models are compared, below every long-context tier


def check_prices(document: Mapping[str, Any], drafts: Sequence[StageDraft], priced: Settings, report: Report) -> None:
    """Report models without a price where a cost limit needs one, and a Debugger that is the cheaper model.

    `priced` needs only its models and vendors.
    """
    limited = "limits.cost" if "cost" in document.get("limits", {}) else None
    for stage in drafts:
        limit = limited or (child(stage.key, "cost") if "cost" in stage.entry else None)
        for rung in stage.served_by:
            if limit and rung.own & {"vendor", "model"} and rung.row is not None and _price(rung, priced) is None:
                _refuse(rung, limit, report)
    _weaker_debugger(drafts, priced, report)


def _price(rung: RungDraft, priced: Settings) -> Decimal | None:
    if rung.model is None or rung.row is None:
        return None
    known = pricing(rung.values["vendor"], rung.model.id, priced)
    return known.ceiling(SAMPLE, SAMPLE) if known else None


def _refuse(rung: RungDraft, limit: str, report: Report) -> None:
    vendor, model = rung.values["vendor"], rung.model.id if rung.model else ""
    place = child(child(child("vendors", vendor), "prices"), model)
    if quota(vendor) is not None:
        message = f"{vendor} is paid by subscription, not in dollars, and {limit} is set"
        hint = f"remove {limit} and let limits.tokens bound the run, or name another vendor"
        report.refuse("SW204", rung.where("model"), message, hint)
        return
    hint = f"add `{place}: {{input: ..., output: ...}}`, or remove {limit}"
    report.refuse("SW204", rung.where("model"), f"{model} has no known price, and {limit} is set", hint)


def _weaker_debugger(drafts: Sequence[StageDraft], priced: Settings, report: Report) -> None:
    debugger = next((stage for stage in drafts if stage.name == "debugger"), None)
    if debugger is None:
        return
    attached = debugger.entry.get("attaches_to", "any_stage")
    own = debugger.rungs[0]
    for stage in drafts:
        last = stage.rungs[-1]
        if stage.name in {"debugger", "reviewer"} or (attached != "any_stage" and stage.name not in attached):
            continue
        if own.values.get("vendor") == last.values.get("vendor") and _cheaper(own, last, priced):
            message = f"{own.model.id if own.model else ''} is weaker than what it debugs, {stage.key}'s last rung"
            hint = f"give the Debugger {last.model.id if last.model else ''} or better"
            report.warn("SW208", child(debugger.key, "model"), message, hint)
            return


def _cheaper(one: RungDraft, other: RungDraft, priced: Settings) -> bool:
    price, bound = _price(one, priced), _price(other, priced)
    return price is not None and bound is not None and price < bound
