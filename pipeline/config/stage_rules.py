"""The rules of stages: knobs the model has, budgets that can hold, routes to stages that exist."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.keypath import child
from pipeline.config.report import Report
from pipeline.config.rungs import RungDraft, StageDraft
from pipeline.config.scalars import show_duration
from stages.artifacts import STAGES

SMALL_CAP = 250_000


def check_stages(document: Mapping[str, Any], drafts: Sequence[StageDraft], report: Report) -> None:
    """Report what the stages of a document get wrong."""
    limits = document.get("limits", {})
    for stage in drafts:
        for rung in stage.served_by:
            _knobs(rung, report)
            _bounds(rung, stage, limits, report)
        _share(stage, limits, report)
        _escalation(stage, report)
        _fallbacks(stage, report)
    _routes(document, drafts, report)
    if limits.get("tokens", SMALL_CAP) < SMALL_CAP:
        _small("limits.tokens", limits["tokens"], report)


def _knobs(rung: RungDraft, report: Report) -> None:
    """Refuse what the rung's model cannot take; what a rung inherits on the same model was judged at the entry."""
    row, model = rung.row, rung.model.id if rung.model else ""
    if row is None:
        return
    changed = bool(rung.own & {"vendor", "model"})
    effort = rung.values.get("effort")
    if (
        effort is not None
        and effort not in row.efforts
        and ("effort" in rung.own or changed)
        and "compute" not in rung.own
    ):
        has = f"it has {', '.join(row.efforts)}" if row.efforts else "it has no such knob"
        _refuse_knob(rung, "effort", f"{model} does not take effort {effort}; {has}", report)
    if rung.values.get("temperature") is not None and not row.temperature and ("temperature" in rung.own or changed):
        _refuse_knob(rung, "temperature", f"{model} does not take a temperature", report)
    output = rung.values.get("max_output_tokens", 0)
    if output > row.max_output_tokens and ("max_output_tokens" in rung.own or changed):
        message = f"{model} writes at most {row.max_output_tokens:_} tokens a call, {output:_} are asked for"
        _refuse_knob(rung, "max_output_tokens", message, report)
    if row.retired_on is not None and changed:
        instead = f"use {row.replacement}" if row.replacement else "use another model"
        report.warn("SW205", rung.where("model"), f"{model} is deprecated and retires on {row.retired_on}", instead)


def _refuse_knob(rung: RungDraft, knob: str, message: str, report: Report) -> None:
    if knob in rung.own:
        hint = f"lower {knob}" if knob == "max_output_tokens" else f"remove {knob}, or name another value or model"
    elif knob == "max_output_tokens":
        hint = "name a smaller one in this rung"
    else:
        hint = f"write `{knob}: null` in this rung to take the model's default"
    report.refuse("SW203", rung.where(knob), message + rung.origin(knob), hint)


def _bounds(rung: RungDraft, stage: StageDraft, limits: Mapping[str, Any], report: Report) -> None:
    wall_clock = limits.get("wall_clock")
    if rung.timeout is not None and wall_clock is not None and rung.timeout > wall_clock and "timeout" in rung.own:
        message = f"{show_duration(rung.timeout)} is longer than limits.wall_clock ({show_duration(wall_clock)})"
        report.refuse("SW206", rung.where("timeout"), message, "lower it, or raise limits.wall_clock")
    output = rung.values.get("max_output_tokens", 0)
    caps = {"limits.tokens": limits.get("tokens"), f"{stage.key}.tokens": stage.entry.get("tokens")}
    for name, cap in caps.items():
        if cap is not None and output > cap and "max_output_tokens" in rung.own:
            report.refuse(
                "SW206",
                rung.where("max_output_tokens"),
                f"{output:_} is more than {name} ({cap:_})",
                f"lower it, or raise {name}",
            )


def _share(stage: StageDraft, limits: Mapping[str, Any], report: Report) -> None:
    for unit in ("tokens", "cost"):
        share, cap = stage.entry.get(unit), limits.get(unit)
        if share is not None and cap is not None and share > cap:
            key = child(stage.key, unit)
            report.refuse("SW206", key, f"the share {share} is more than limits.{unit} ({cap})", "lower it")
    share = stage.entry.get("tokens")
    if share is not None and share < SMALL_CAP:
        _small(child(stage.key, "tokens"), share, report)


def _small(key: str, tokens: int, report: Report) -> None:
    message = f"{tokens:_} tokens are little: a call reserves its whole prompt, cached parts too, before it is made"
    report.warn("SW209", key, message, f"{SMALL_CAP:_} or more lets a run use its last tokens")


def _escalation(stage: StageDraft, report: Report) -> None:
    entries, retries = len(stage.rungs) - 1, stage.entry.get("retry_budget")
    if retries is not None and entries > retries:
        key = stage.rungs[1].key.rsplit(".", 1)[0]
        message = f"{entries} entries for a retry_budget of {retries}: no retry reaches the last {entries - retries}"
        report.warn("SW207", key, message, f"raise {stage.key}.retry_budget, or remove entries")


def _fallbacks(stage: StageDraft, report: Report) -> None:
    """Refuse a fallback that repeats its rung or a fallback before it; each is said once."""
    said: set[str] = set()
    for rung in stage.rungs:
        seen = {_served(rung)}
        for one in rung.fallback:
            if one.model is not None and _served(one) in seen and one.key not in said:
                said.add(one.key)
                message = f"{'/'.join(_served(one))} is what it stands in for, in {rung.key} or before it"
                inherited = not one.key.startswith(f"{rung.key}.")
                own = f", or write {rung.where('fallback')} (`[]` for none)" if inherited else ""
                report.refuse("SW217", one.where("model"), message, f"name another vendor or model, or remove it{own}")
            seen.add(_served(one))


def _served(rung: RungDraft) -> tuple[str, str]:
    return rung.values.get("vendor", ""), rung.model.id if rung.model else ""


def _routes(document: Mapping[str, Any], drafts: Sequence[StageDraft], report: Report) -> None:
    debugger = next((stage for stage in drafts if stage.name == "debugger"), None)
    if debugger is None:
        return
    off = [name for name in STAGES if document.get("stages", {}).get(name) == "none"]
    for key in ("attaches_to", "can_route_to"):
        named, here = debugger.entry.get(key, ()), child(debugger.key, key)
        places = [(named, here)] if isinstance(named, str) else [(name, child(here, i)) for i, name in enumerate(named)]
        for name, place in places:
            if name in off:
                report.refuse("SW210", place, f"`{name}` is not configured: it is `none`", "remove it, or configure it")
            elif name == "debugger":
                report.refuse("SW210", place, "the Debugger never attaches or routes to itself", "remove `debugger`")
