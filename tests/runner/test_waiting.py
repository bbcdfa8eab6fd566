"""`--wait` sleeps through the time of a parked run and goes on by itself; interrupted, it leaves it parked."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pipeline.config.settings import VendorSettings
from pipeline.events import RunEnded
from pipeline.running.waiting import NAP, wait_through
from tests.e2e import project
from tests.fakes.clock import FakeClock
from tests.loopback import Brain, Say
from tests.runner.scenario import Scenario, audited, settings

WINDOW = Say(status=429, headers={"retry-after": "18000"})


class Opens:
    """A brain whose window opens at a time of the clock, and that says so until then."""

    def __init__(self, clock: FakeClock, brain: Brain, after: float) -> None:
        self._clock, self._brain, self._at = clock, brain, clock() + after
        self.refused = 0

    def __call__(self, conversation: Any) -> Say:
        if self._clock() >= self._at:
            return self._brain(conversation)
        self.refused += 1
        return WINDOW


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def parked_run(folder: Path, clock: FakeClock, planner: Brain) -> Iterator[Scenario]:
    team = {"planner": planner, "coder": project.coder(), "strong": project.coder()}
    vendors = {"scripted": VendorSettings(name="scripted")}
    run = Scenario(folder, team, settings(vendors=vendors), clock=clock, sleep=clock.sleep)
    yield run
    audited(run)
    run.store.close()


@pytest.fixture
def opens_once(tmp_path: Path, clock: FakeClock) -> Iterator[Scenario]:
    yield from parked_run(tmp_path, clock, Opens(clock, project.planner(), after=17_000))


@pytest.fixture
def opens_never(tmp_path: Path, clock: FakeClock) -> Iterator[Scenario]:
    yield from parked_run(tmp_path, clock, Opens(clock, project.planner(), after=10**9))


def waited(run: Scenario, ended: RunEnded) -> RunEnded:
    return wait_through(run.place, run.run_id, ended, run.seams, os.environ)


def test_a_parked_run_goes_on_when_its_time_has_come(opens_once: Scenario, clock: FakeClock) -> None:
    began = clock()
    ended = opens_once.run()
    assert ended.status == "parked"
    assert waited(opens_once, ended).status == "solved"
    assert began + 18_000 <= clock() < began + 18_010
    assert max(clock.slept) <= NAP, "a machine that was asleep itself would sleep for longer"
    kinds = [event.kind for event in opens_once.events]
    assert kinds.count("run.resumed") == 1


def test_a_vendor_that_keeps_naming_times_ends_the_run_at_the_third(opens_never: Scenario) -> None:
    ended = waited(opens_never, opens_never.run())
    assert ended.status == "infrastructure"
    assert "parked 3 times" in ended.reason


def test_a_run_that_is_not_parked_is_not_waited_for(opens_once: Scenario, clock: FakeClock) -> None:
    clock.advance(17_000)
    ended = opens_once.run()
    clock.slept.clear()
    assert waited(opens_once, ended) is ended
    assert clock.slept == []


def test_an_interrupted_wait_leaves_the_run_parked(opens_once: Scenario) -> None:
    ended = opens_once.run()
    told: list[str] = []

    async def interrupted(_: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()

    opens_once.sleep, opens_once.say = interrupted, told.append
    assert waited(opens_once, ended) is ended
    assert told[0].startswith("parked: going on at 2025-11-20 15:00:00 UTC, in 5 h 00 min")
    assert opens_once.ended() == "parked"
