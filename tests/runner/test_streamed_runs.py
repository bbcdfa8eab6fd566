"""Runs whose replies are streamed: a stalled server ends within its limit, and whoever watches sees replies arrive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import loader
from pipeline.config.settings import Rung, StageSettings, VendorSettings
from pipeline.events import AttemptEnded, CallReserved, CallSettled
from pipeline.surface import Heard
from stages.artifacts import StageName
from stages.model import Usage
from tests.e2e import project
from tests.loopback import ANTHROPIC_KEY, Brain, Say, always, anthropic_server, by_model
from tests.runner.scenario import Scenario, audited, settings

PLANNER, CODER = "claude-opus-5-5", "claude-sonnet-5-5"


def stage(name: str, model: str, stall: float) -> StageSettings:
    rung = Rung(vendor="anthropic", model=model, timeout=60.0, stall=stall, max_output_tokens=4000)
    return StageSettings.model_validate({"name": name, "rungs": (rung,), "retry_budget": 0})


@contextmanager
def streamed(
    folder: Path, coder: Brain, *, stall: float = 20.0, hear: Callable[[StageName, Heard], None] | None = None
) -> Iterator[Scenario]:
    with anthropic_server(by_model({PLANNER: project.planner(), CODER: coder})) as server:
        vendors = {"anthropic": VendorSettings(name="anthropic", base_url=server.url)}
        stages = {"planner": stage("planner", PLANNER, 20.0), "coder": stage("coder", CODER, stall)}
        keys = {"anthropic": ANTHROPIC_KEY}
        scenario = Scenario(folder, {}, settings(vendors=vendors, **stages), keys=keys, hear=hear)
        scenario.cast.connect = loader.connect  # type: ignore[method-assign,assignment]
        try:
            yield scenario
            audited(scenario)
        finally:
            scenario.store.close()


def test_a_server_that_goes_silent_is_tried_twice_and_the_failure_names_the_key(tmp_path: Path) -> None:
    stalled = always(Say("I begin", usage=Usage(input=700, cache_read=200, output=50), fault="stream_stall"))
    with streamed(tmp_path, stalled, stall=0.3) as run:
        assert run.run().status == "unsolved"
        (ended,) = [each for each in run.events if isinstance(each, AttemptEnded) and each.stage == "coder"]
        assert ended.outcome == "unusable"
        assert ended.failure
        assert "no bytes for 0.3 s (stages.coder.stall)" in ended.failure.message
        reserved = {each.key: each for each in run.events if isinstance(each, CallReserved) and each.stage == "coder"}
        settled = [each for each in run.events if isinstance(each, CallSettled) and each.stage == "coder"]
        assert [each.error for each in settled] == ["timeout", "timeout"]
        bound = [700 - 200 + reserved[each.key].max_output_tokens for each in settled]
        assert [each.tokens for each in settled] == bound, "the reported input, and the output as reserved"


def test_what_arrives_is_heard_by_stage_and_journaled_nowhere(tmp_path: Path) -> None:
    heard: list[tuple[StageName, Heard]] = []
    with streamed(tmp_path, project.coder(), hear=lambda stage, piece: heard.append((stage, piece))) as run:
        assert run.run().status == "solved"
    assert {stage for stage, _ in heard} == {"planner", "coder"}
    assert {piece.kind for _, piece in heard} >= {"thinking", "tool"}
    with streamed(tmp_path / "unwatched", project.coder()) as unwatched:
        assert unwatched.run().status == "solved"
    kinds = [each.kind for each in unwatched.events]
    assert [each.kind for each in run.events] == kinds
