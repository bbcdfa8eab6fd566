"""Play a run as lines of text: each line is what happened at the step that flow asked for.

Lines: `planner a b<a` (passed with items, `b` after `a`), `planner rejected`, `planner clarify`,
`coder a red:t1,t2`, `coder a passed`, `coder a scope`, `coder a outage` (where a fallback is left),
`debugger a -> coder`, `debugger - unusable`, `reviewer approve`, `reviewer changes`, `recheck a green`,
`baseline red`, `end` (the ending flow asks for is journaled), `resume`, `resume changed`, `resume with advice`.
Acceptance and exhaustion need no line: they are taken when flow asks for them. Every line is held against the step
that flow asks for, so no impossible story can be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pipeline.config.settings import CheckSettings, Limits, OnExhaust, Rung, Settings, StageSettings
from pipeline.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    CheckFinished,
    CheckOutcome,
    HumanAnswered,
    ItemAccepted,
    RunEnded,
    RunResumed,
    RunStarted,
    StageEnded,
)
from pipeline.flow import next_step
from pipeline.running.conditions import conditions
from pipeline.standing import rung as rung_settings
from pipeline.state import fold
from pipeline.steps import AcceptItem, EndRun, ExhaustStage, RunAttempt, RunBaseline, RunRecheck, Step
from stages.artifacts import (
    STAGES,
    Diagnosis,
    Failure,
    FileChange,
    Finding,
    Manifest,
    Outcome,
    Review,
    StageName,
    WorkItem,
)


def stage_settings(
    name: StageName, retries: int = 1, rungs: int = 1, on_exhaust: OnExhaust = "halt", fallbacks: int = 0, **more: Any
) -> StageSettings:
    elsewhere = tuple(_rung(f"{name}-elsewhere-{n + 1}") for n in range(fallbacks))
    ladder = tuple(_rung(f"{name}-{n}").model_copy(update={"fallback": elsewhere}) for n in range(rungs))
    return StageSettings(name=name, rungs=ladder, retry_budget=retries, on_exhaust=on_exhaust, **more)


def _rung(model: str) -> Rung:
    return Rung(vendor="scripted", model=model, timeout=60, max_output_tokens=16000)


def make_settings(
    *,
    planner: tuple[int, int] = (1, 1),
    coder: tuple[int, int] = (1, 1),
    debugger: tuple[int, int] | None = None,
    reviewer: tuple[int, int] | None = None,
    attaches_to: Sequence[str] = ("planner", "coder", "reviewer"),
    can_route_to: Sequence[str] = ("planner", "coder", "reviewer"),
    surface: Sequence[str] = (),
    checks: Sequence[str] = ("tests",),
    fallbacks: int = 0,
) -> Settings:
    """Each pair is (retry budget, number of rungs); None switches a stage off. Every rung has so many fallbacks."""

    def entry(name: StageName, pair: tuple[int, int] | None, **more: Any) -> StageSettings | None:
        if pair is None:
            return None
        on_exhaust: OnExhaust = "surface_to_human" if name in surface else "halt"
        return stage_settings(name, *pair, on_exhaust=on_exhaust, fallbacks=fallbacks, **more)

    return Settings(
        limits=Limits(tokens=1_000_000, wall_clock=3600),
        planner=cast("StageSettings", entry("planner", planner)),
        coder=cast("StageSettings", entry("coder", coder)),
        debugger=entry("debugger", debugger, attaches_to=tuple(attaches_to), can_route_to=tuple(can_route_to)),
        reviewer=entry("reviewer", reviewer),
        checks=tuple(CheckSettings(name=name, run="true", timeout=60) for name in checks),
    )


@dataclass
class Story:
    settings: Settings
    events: list[AnyEvent] = field(default_factory=list)
    told: int = 0

    def __post_init__(self) -> None:
        self.events.append(RunStarted(ticket_id="t", ticket="", repository="r", base="c", config="1", config_hash="1"))

    def step(self) -> Step:
        """Return the step flow asks for, taking acceptance and exhaustion on the way."""
        while True:
            step = next_step(fold(self.events), self.settings)
            match step:
                case AcceptItem(item=item):
                    self.events.append(ItemAccepted(item=item, change=f"tree-{item}"))
                case ExhaustStage():
                    self.events.append(StageEnded(stage=step.stage, item=step.item, outcome="exhausted"))
                case RunBaseline(checks=names) if not self.told:
                    self.events.extend(self._check("baseline", name, None, green=True) for name in names)
                case _:
                    return step

    def tell(self, line: str) -> None:
        words = line.split()
        if words[0] == "baseline":
            self._baseline(words[1] == "binds-nothing")
        elif words[0] == "resume":
            self._resume(words[1:])
        elif words[0] == "end":
            self._end()
        elif words[0] == "recheck":
            self._recheck(words[1], green=words[2] == "green")
        else:
            self._attempt(words)
        self.told += 1

    def _baseline(self, binds_nothing: bool) -> None:  # noqa: FBT001 - one caller
        for check in self.settings.checks:
            self.events.append(self._check("baseline", check.name, None, green=False, binds=not binds_nothing))

    def _check(self, phase: Any, name: str, item: str | None, *, green: bool, binds: bool = True) -> CheckFinished:
        check = next(check for check in self.settings.checks if check.name == name)
        outcome: CheckOutcome = "passed" if green else "failed"
        under = conditions(self.settings, check)
        return CheckFinished(
            phase=phase, name=name, outcome=outcome, green=green, binds=binds, item=item, conditions=under
        )

    def _resume(self, words: Sequence[str]) -> None:
        config = f"{self.told}" if "changed" in words else fold(self.events).config
        self.events.append(RunResumed(config=config, config_hash=config))
        if "advice" in words:
            self.events.append(HumanAnswered(text="do this"))

    def _end(self) -> None:
        step = self.step()
        assert isinstance(step, EndRun), f"flow does not end here: {text(step)}"
        self.events.append(RunEnded(status=step.status, reason=step.reason, stage=step.stage, item=step.item))

    def _recheck(self, item: str, *, green: bool) -> None:
        step = self.step()
        assert isinstance(step, RunRecheck), text(step)
        assert step.item == item
        self.events.extend(self._check("recheck", name, item, green=green) for name in step.checks)

    def _attempt(self, words: Sequence[str]) -> None:
        step = self.step()
        stage, rest = cast("StageName", words[0]), words[1:]
        assert stage in STAGES
        assert isinstance(step, RunAttempt), f"flow does not ask for {words}: {text(step)}"
        item: str | None = None
        if stage in ("coder", "debugger"):
            item, rest = (None if rest[0] == "-" else rest[0]), rest[1:]
        assert (step.stage, step.item) == (stage, item), f"told {words}, flow asks for {text(step)}"
        common: dict[str, Any] = {
            "stage": stage,
            "item": item,
            "number": step.number,
            "rung": step.rung,
            "cause": step.cause,
            "fallback": step.fallback,
        }
        rung = rung_settings(self.settings, stage, step.rung, step.fallback)
        common |= {"vendor": rung.vendor, "model": rung.model}
        self.events.append(AttemptStarted(timeout=step.seconds or 60, **common))
        self.events.append(AttemptEnded(**common, **self._ending(step, rest)))

    def _ending(self, step: RunAttempt, rest: Sequence[str]) -> dict[str, Any]:
        match rest:
            case ["->", owner]:
                assert owner in step.owners, f"{owner} is not on offer: {step.owners}"
                brief = Diagnosis(owner=owner, brief="fix it")
                return {"outcome": "passed", "owner": owner, "diagnosis": brief}
            case ["approve"]:
                return {"outcome": "passed", "verdict": "approve", "review": Review(verdict="approve")}
            case ["changes"]:
                review = Review(verdict="request_changes", findings=(Finding(severity="major", message="no"),))
                return {"outcome": "passed", "verdict": "request_changes", "review": review}
            case ["clarify"]:
                return {"outcome": "stopped", "failure": Failure(kind="clarification", message="which one?")}
            case ["outage"]:
                failure = Failure(kind="vendor", code="fallback", message="it is down")
                further = {"continues_on": step.fallback + 1, "seconds_left": (step.seconds or 60) - 20}
                return {"outcome": "stopped", "failure": failure, **further}
            case ["scope"]:
                return {"outcome": "stopped", "failure": Failure(kind="scope", message="more files")}
            case [word] if step.stage != "planner" or word in _OUTCOMES:
                return self._failing(word)
            case items:
                return {
                    "outcome": "passed",
                    "manifest": manifest(items),
                    "items": tuple(i.split("<")[0] for i in items),
                }

    def _failing(self, word: str) -> dict[str, Any]:
        name, _, tests = word.partition(":")
        outcome = cast("Outcome", name)
        assert outcome in _OUTCOMES, f"not an outcome: {name}"
        if outcome == "passed":
            return {"outcome": outcome, "change": "tree"}
        if outcome == "stopped":
            return {"outcome": outcome, "failure": Failure(kind="interrupted", message="stopped")}
        failure = Failure(kind=_KINDS[outcome], message=word, tests=tuple((tests or f"t{self.told}").split(",")))
        seen = outcome in ("red", "rejected")
        return {
            "outcome": outcome,
            "failure": failure,
            "evidence": seen,
            "reusable": outcome == "red",
            "change": "tree",
        }


_KINDS: dict[str, Any] = {
    "red": "checks",
    "rejected": "gate",
    "unusable": "unusable",
    "timed_out": "timeout",
    "no_progress": "no_progress",
}
_OUTCOMES = ("passed", "stopped", *_KINDS)


def manifest(items: Sequence[str]) -> Manifest:
    entries = []
    for word in items:
        name, _, after = word.partition("<")
        entries.append(
            WorkItem(
                id=name,
                title=name,
                depends_on=(after,) if after else (),
                files=(FileChange(path=f"{name}.py", operation="modify"),),
                instructions="do it",
            )
        )
    return Manifest(summary="s", work_items=tuple(entries))


def text(step: Step) -> str:
    """Return a step as the tables write it."""
    match step:
        case RunAttempt():
            item = f" {step.item or '-'}" if step.stage in ("coder", "debugger") else ""
            where = f" fallback {step.fallback}, {step.seconds:g} s" if step.fallback else ""
            return f"{step.stage}{item} #{step.number} rung {step.rung}{where}"
        case RunRecheck():
            return f"recheck {step.item}"
        case RunBaseline():
            return "baseline " + " ".join(step.checks)
        case EndRun():
            about = " ".join(word for word in (step.stage, step.item) if word)
            return f"end {step.status} {about}".strip()
        case AcceptItem() | ExhaustStage():
            return str(step)


def play(settings: Settings, story: str) -> Story:
    """Tell a story, lines separated by `;`, and return it."""
    told = Story(settings)
    for line in filter(None, (part.strip() for part in story.split(";"))):
        told.tell(line)
    return told
