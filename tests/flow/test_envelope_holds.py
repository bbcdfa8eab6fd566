"""Whatever happens, a run ends, within the attempts that the envelope of section 6 promises."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.settings import Settings
from pipeline.state import fold
from pipeline.steps import EndRun, RunAttempt, RunRecheck
from stages.artifacts import STAGES
from tests.flow.play import Story, make_settings

BUDGET = st.tuples(st.integers(0, 2), st.integers(1, 3))
WORK_ITEMS = 3


def bounds(settings: Settings) -> dict[str, int]:
    attempts = {name: entry.attempts for name in STAGES if (entry := settings.stage(name))}
    p, c, w = attempts["planner"], attempts["coder"], WORK_ITEMS
    d, r = attempts.get("debugger", 0), attempts.get("reviewer", 1)
    return {
        "planner": p + d,
        "coder": w * (c + d) + (p - 1 + r - 1) * (1 + d),
        "reviewer": r + d,
        "debugger": d * (w + p - 1 + r - 1) + d,
    }


def line(step: RunAttempt, story: Story, draw: st.DataObject, names: Iterator[int]) -> str:
    """Return something a stage could have done at this step."""
    item = step.item or "-"
    match step.stage:
        case "planner":
            return draw.draw(st.sampled_from(["planner rejected", "planner unusable", _plan(story, draw, names)]))
        case "coder":
            may_ask = story.settings.planner.attempts > len(
                [a for a in fold(story.events).of("planner", None) if a.outcome != "stopped"]
            )
            words = ["passed", "red", "red:same", "rejected", "unusable", *(["scope"] if may_ask else [])]
            return f"coder {item} {draw.draw(st.sampled_from(words))}"
        case "debugger":
            routes = [f"-> {owner}" for owner in step.owners if owner not in ("ticket", "environment")]
            return f"debugger {item} {draw.draw(st.sampled_from([*routes, 'unusable']))}"
        case "reviewer":
            return f"reviewer {draw.draw(st.sampled_from(['approve', 'changes', 'unusable']))}"


def _plan(story: Story, draw: st.DataObject, names: Iterator[int]) -> str:
    state = fold(story.events)
    room = WORK_ITEMS - len([item for item in state.accepted if not item.startswith("review-")])
    known = [i.id for i in state.manifest.work_items if i.id not in state.accepted] if state.manifest else []
    kept = draw.draw(st.lists(st.sampled_from(known), unique=True, max_size=room)) if known and room else []
    new = [
        f"n{next(names)}"
        for _ in range(draw.draw(st.integers(0 if kept else 1, max(room - len(kept), 0 if kept else 1))))
    ]
    return "planner " + " ".join([*kept, *new]) if room else "planner rejected"


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.data(), BUDGET, BUDGET, st.none() | BUDGET, st.none() | BUDGET, st.integers(0, 2))
def test_every_run_ends_within_its_envelope(
    draw: st.DataObject,
    planner: tuple[int, int],
    coder: tuple[int, int],
    debugger: tuple[int, int] | None,
    reviewer: tuple[int, int] | None,
    fallbacks: int,
) -> None:
    story = Story(
        make_settings(planner=planner, coder=coder, debugger=debugger, reviewer=reviewer, fallbacks=fallbacks)
    )
    made: Counter[str] = Counter()
    names = count()
    for _ in range(1000):
        match step := story.step():
            case EndRun():
                break
            case RunRecheck():
                story.tell(f"recheck {step.item} {draw.draw(st.sampled_from(['green', 'red']))}")
            case RunAttempt():
                made[step.stage] += 1
                down = step.fallback < fallbacks and draw.draw(st.integers(0, 3)) == 0
                items = f" {step.item or '-'}" if step.stage in ("coder", "debugger") else ""
                story.tell(f"{step.stage}{items} outage" if down else line(step, story, draw, names))
            case _:
                raise AssertionError(step)
    else:
        raise AssertionError("the run does not end")
    limits = bounds(story.settings)
    assert all(made[stage] - _asked_for_scope(story, stage) <= limits[stage] for stage in limits), (made, limits)


def _asked_for_scope(story: Story, stage: str) -> int:
    """A request for scope stops an attempt without consuming it; each costs the Planner one of its own."""
    return sum(a.stage == stage and a.outcome == "stopped" for a in fold(story.events).attempts)


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.data(), st.lists(st.tuples(BUDGET, BUDGET, st.none() | BUDGET, st.none() | BUDGET), min_size=2, max_size=5))
def test_a_run_has_a_next_step_whatever_its_resumes_change(draw: st.DataObject, configs: list[tuple[Any, ...]]) -> None:
    stages = ("planner", "coder", "debugger", "reviewer")
    waiting = [make_settings(**dict(zip(stages, config, strict=True))) for config in configs]
    story, names, interruptions = Story(waiting.pop()), count(), 3
    for _ in range(1000):
        match step := story.step():
            case EndRun(status="solved"):
                break
            case EndRun():
                if not waiting:
                    break
                story.tell("end")
                story.tell(draw.draw(st.sampled_from(["resume changed", "resume changed with advice"])))
                story.settings = waiting.pop()
            case RunRecheck():
                story.tell(f"recheck {step.item} {draw.draw(st.sampled_from(['green', 'red']))}")
            case RunAttempt():
                cut = f"{step.stage} {step.item or '-'} stopped" if step.item else f"{step.stage} stopped"
                stopped = interruptions > 0 and step.stage != "debugger" and draw.draw(st.integers(0, 4)) == 0
                interruptions -= stopped
                story.tell(cut if stopped else _line_or_human(step, story, draw, names))
            case _:
                raise AssertionError(step)
    else:
        raise AssertionError("the run does not end")


def _line_or_human(step: RunAttempt, story: Story, draw: st.DataObject, names: Iterator[int]) -> str:
    """Return what `line` does, or an ending that only a resume goes on from."""
    if draw.draw(st.integers(0, 9)):
        return line(step, story, draw, names)
    match step.stage:
        case "planner":
            return "planner clarify"
        case "debugger":
            return f"debugger {step.item or '-'} -> {draw.draw(st.sampled_from(['ticket', 'environment']))}"
        case _:
            return line(step, story, draw, names)
