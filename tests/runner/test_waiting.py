"""`--wait` sleeps through the time of a parked run and goes on by itself; interrupted, it leaves it parked."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from pipeline.config.settings import VendorSettings
from pipeline.errors import UsageError
from pipeline.events import CallRefused, RunEnded, RunResumed
from pipeline.memory.journal import Stored
from pipeline.reporting.archive import read_run
from pipeline.running.resumption import Given
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


def journal_of(run: Scenario) -> tuple[Stored, ...]:
    return read_run(run.store, run.run_id).account.events


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


def test_an_interrupted_wait_leaves_it_parked_even_if_the_time_came_while_the_machine_was_asleep(
    opens_once: Scenario, clock: FakeClock
) -> None:
    ended = opens_once.run()

    async def interrupted(_: float) -> None:
        clock.advance(20_000)
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()

    opens_once.sleep = interrupted
    assert waited(opens_once, ended) is ended
    assert opens_once.ended() == "parked"


class Meanwhile:
    """Sleeps; during the first nap somebody does something else in another thread, as another process would."""

    def __init__(self, clock: FakeClock, act: Callable[[], object]) -> None:
        self._clock, self._act, self._acted = clock, act, False

    async def __call__(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if not self._acted:
            self._acted = True
            await anyio.to_thread.run_sync(self._act)


def test_a_run_that_somebody_else_solves_meanwhile_is_solved(opens_once: Scenario, clock: FakeClock) -> None:
    ended = opens_once.run()

    def solve() -> None:
        clock.advance(17_000)
        assert opens_once.resume().status == "solved"

    opens_once.sleep = Meanwhile(clock, solve)
    assert waited(opens_once, ended).status == "solved"
    assert [event.kind for event in opens_once.events].count("run.resumed") == 1


def test_a_time_that_somebody_else_was_told_meanwhile_is_waited_for(opens_never: Scenario, clock: FakeClock) -> None:
    ended = opens_never.run()
    first = ended.resume_at
    assert first is not None

    def ask_again() -> None:
        clock.advance(9_000)
        assert opens_never.resume().status == "parked"

    opens_never.sleep = Meanwhile(clock, ask_again)
    assert waited(opens_never, ended).status == "infrastructure"
    refused = [stored.at.timestamp() for stored in journal_of(opens_never) if isinstance(stored.event, CallRefused)]
    assert [round(at - (first - 18_000), -2) for at in refused] == [0, 9_100, 27_100]


def test_what_was_given_to_a_resume_is_in_force_once_it_goes_on(opens_once: Scenario) -> None:
    ended = opens_once.run()
    given = Given(guidance="Keep the function's name.")
    ended = wait_through(opens_once.place, opens_once.run_id, ended, opens_once.seams, os.environ, given=given)
    assert ended.status == "solved"
    assert [e.guidance for e in opens_once.events if isinstance(e, RunResumed)] == ["Keep the function's name."]


def test_nobody_resumes_a_run_that_was_solved_before_its_lock_was_free(opens_once: Scenario, clock: FakeClock) -> None:
    clock.advance(17_000)
    assert opens_once.run().status == "solved"
    with pytest.raises(UsageError, match="is solved: its branch is stagewright/discount"):
        opens_once.resume()
    assert opens_once.events[-1].kind == "run.ended"
