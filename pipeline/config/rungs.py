"""Works out the rungs of a stage: what each inherits from the entry, and what `compute: increased` comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pipeline.config.keypath import child
from pipeline.config.keys import DEFAULT_OUTPUT_TOKENS, EFFORTS
from pipeline.config.knowledge import Knowledge, Named
from pipeline.config.report import Report
from pipeline.config.settings import Rung
from pipeline.surface import STALL_SECONDS, Capabilities
from stages.artifacts import STAGES, StageName
from stages.model import Effort

RUNG_KEYS = ("vendor", "model", "timeout", "stall", "effort", "temperature", "max_output_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class RungDraft:
    """A rung as far as it could be read. `own` are the keys this very entry names; the rest is inherited."""

    key: str
    own: frozenset[str]
    values: Mapping[str, Any]
    model: Named | None = None
    row: Capabilities | None = None
    effort: Effort | None = None

    @property
    def timeout(self) -> float | None:
        """Seconds of one attempt."""
        return self.values.get("timeout")

    def where(self, knob: str) -> str:
        """Return the key path of a knob in this rung, even where it is inherited."""
        return child(self.key, knob)

    def origin(self, knob: str) -> str:
        """Say that a knob comes from the stage's entry, where it does."""
        return "" if knob in self.own else " (inherited from the stage's entry)"

    def rung(self) -> Rung | None:
        """Return the finished rung, None while something is missing."""
        if self.model is None or self.row is None or self.timeout is None:
            return None
        return Rung(
            vendor=self.values["vendor"],
            model=self.model.id,
            like=self.model.like,
            timeout=self.timeout,
            stall=self.values.get("stall", STALL_SECONDS),
            max_output_tokens=self.values.get(
                "max_output_tokens", min(DEFAULT_OUTPUT_TOKENS, self.row.max_output_tokens)
            ),
            effort=self.effort,
            temperature=self.values.get("temperature"),
        )


@dataclass(frozen=True, slots=True)
class StageDraft:
    """A stage's entry with its rungs."""

    name: StageName
    key: str
    entry: Mapping[str, Any]
    rungs: Sequence[RungDraft]


def stage_drafts(document: Mapping[str, Any], knowledge: Knowledge, report: Report) -> list[StageDraft]:
    """Return every stage that is configured as a mapping, with its rungs resolved."""
    drafts = []
    for name in STAGES:
        entry = document.get("stages", {}).get(name)
        if isinstance(entry, dict):
            key = f"stages.{name}"
            drafts.append(StageDraft(name, key, entry, _rungs(entry, key, knowledge, report)))
    return drafts


def default_efforts(drafts: Sequence[StageDraft]) -> tuple[str, ...]:
    """Say which rungs run at their model's own effort, because nobody set one."""
    rungs = (rung for stage in drafts for rung in stage.rungs)
    return tuple(
        f"{rung.where('effort')} = {rung.row.default_effort}, the own default of {rung.model.id}"
        for rung in rungs
        if rung.effort is None
        and rung.row is not None
        and rung.row.default_effort is not None
        and rung.model is not None
    )


def _rungs(entry: Mapping[str, Any], key: str, knowledge: Knowledge, report: Report) -> list[RungDraft]:
    word = "escalation" if "escalation" in entry else "on_retry"
    if "escalation" in entry and "on_retry" in entry:
        message = "`on_retry` is another word for `escalation`, and both are there"
        report.refuse("SW114", child(key, "on_retry"), message, "keep one of the two")
    base = {name: entry[name] for name in RUNG_KEYS if name in entry}
    first = _identified(RungDraft(key=key, own=frozenset(base), values=base), knowledge)
    rungs = [replace(first, effort=base.get("effort"))]
    for index, own in enumerate(entry.get(word, [])):
        if isinstance(own, dict):
            at = child(child(key, word), index)
            draft = RungDraft(key=at, own=frozenset(own), values={**base, **own})
            draft = _identified(draft, knowledge) if draft.own & {"vendor", "model"} else _same_model(draft, first)
            rungs.append(replace(draft, effort=_effort(draft, rungs[-1], report)))
    return rungs


def _identified(draft: RungDraft, knowledge: Knowledge) -> RungDraft:
    vendor, text = draft.values.get("vendor"), draft.values.get("model")
    model = knowledge.named(text) if text is not None else None
    surface = knowledge.surface(vendor, draft.where("vendor")) if vendor is not None else None
    row = knowledge.row(surface, model, draft.where("model")) if surface and model else None
    return replace(draft, model=model, row=row)


def _same_model(draft: RungDraft, first: RungDraft) -> RungDraft:
    """Take the entry's model over; what is wrong with it was said there."""
    return replace(draft, model=first.model, row=first.row)


def _effort(draft: RungDraft, before: RungDraft, report: Report) -> Effort | None:
    """Return the effort of a later rung: its own, the entry's, or one step above the rung before."""
    if "compute" not in draft.own:
        return cast("Effort | None", draft.values.get("effort"))
    if "effort" in draft.own:
        message = "`compute: increased` works the effort out, and `effort` names one"
        report.refuse("SW114", draft.where("compute"), message, "keep one of the two")
        return None
    if draft.row is None:
        return None
    start = before.effort or (before.row.default_effort if before.row else None) or draft.row.default_effort
    above = [effort for effort in draft.row.efforts if start is None or EFFORTS.index(effort) > EFFORTS.index(start)]
    if above and start is not None:
        return above[0]
    _refuse_increase(draft, start, report)
    return None


def _refuse_increase(draft: RungDraft, start: Effort | None, report: Report) -> None:
    model = draft.model.id if draft.model else ""
    if draft.row is None or not draft.row.efforts:
        message = f"{model} has no effort that could be increased"
    elif start is None:
        message = f"{model} has no default effort to start from; it has {', '.join(draft.row.efforts)}"
    else:
        message = f"{model} has no effort above {start}; it has {', '.join(draft.row.efforts)}"
    report.refuse("SW203", draft.where("compute"), message, "name a stronger model in this rung, or start lower")
