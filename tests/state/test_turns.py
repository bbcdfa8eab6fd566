"""Calls of all runs of a machine wait their turn at a vendor: what one run learns of it holds for the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.memory.budget import Need
from pipeline.memory.journal import Journal
from pipeline.memory.ledger import Ask, Ledger, Outcome, Reservation, Scope, Seat, Waiting
from pipeline.memory.pace import MOST_FAILURES, Lane, Named, NotYet
from stages.model import ErrorKind, ModelError, Usage
from tests.fakes.clock import FakeClock
from tests.fakes.model import reply, request
from tests.state.seats import Desk, desk

LANE = Lane("scripted", "small")


@dataclass
class Booth:
    """One run among several on one database."""

    ledger: Ledger
    clock: FakeClock
    stage_turn: int = 0

    def ask(self, lane: Lane, *, insists: bool = False, lease: float = 300.0) -> Reservation | NotYet:
        self.stage_turn += 1
        seat = Seat("coder", "item-1", 1, lane.vendor, lane.model, 32_000)
        ask = Ask(
            seat=seat,
            turn=self.stage_turn,
            request=request(),
            need=Need(1_000, 5_000),
            lease=self.clock() + lease,
            lane=lane,
            insists=insists,
        )
        answer = self.ledger.reserve(ask)
        assert isinstance(answer, Reservation | NotYet)
        return answer

    def begin(self, lane: Lane, *, lease: float = 300.0) -> Reservation:
        answer = self.ask(lane, lease=lease)
        assert isinstance(answer, Reservation), answer
        return answer

    def held_up(self, lane: Lane) -> NotYet:
        answer = self.ask(lane)
        assert isinstance(answer, NotYet), answer
        return answer

    def answer(self, reservation: Reservation, tokens: int = 1_000) -> None:
        said = reply(input_tokens=tokens - 100, output_tokens=100)
        self.ledger.settle(reservation, Outcome(usage=said.usage, cost=None, reply=said))

    def fail(self, reservation: Reservation, kind: ErrorKind, retry_after: float | None = None) -> None:
        self.ledger.release(reservation, ModelError(kind, "no", retry_after=retry_after, generated=False))

    def lose(self, reservation: Reservation) -> None:
        """End a call without a word of the vendor's."""
        usage = Usage(input=1_000, output=5_000, source="reserved")
        self.ledger.settle(reservation, Outcome(usage=usage, cost=None, error="cancelled"))


@dataclass
class Machine:
    """A database and the runs on it; `dead` are those whose process is gone."""

    desk: Desk
    dead: set[str]

    def run(self, number: int) -> Booth:
        run_id = f"20261120-10000{number}-000a1b2c3"
        journal = Journal(self.desk.store, run_id, clock=self.desk.clock, redact=lambda text: text)
        ledger = Ledger(self.desk.store, journal, lambda run: run not in self.dead)
        ledger.open_scopes([Scope(f"run/{run_id}/tokens", "tokens", 10_000_000)])
        return Booth(ledger, self.desk.clock)


@contextmanager
def _machine(folder: Path) -> Iterator[Machine]:
    with desk(folder) as opened:
        yield Machine(opened, set())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with _machine(tmp_path) as found:
        yield found


def test_calls_in_flight_of_all_runs_fill_a_vendor_together(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    lane = replace(LANE, max_concurrency=2)
    first, _ = one.begin(lane), other.begin(lane)
    assert one.held_up(lane).why == "max_concurrency"
    assert isinstance(one.ask(replace(lane, vendor="other")), Reservation)
    one.answer(first)
    other.begin(lane)


def test_what_a_dead_process_left_in_flight_is_not(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    lane = replace(LANE, max_concurrency=1)
    one.begin(lane)
    assert other.held_up(lane).why == "max_concurrency"
    machine.dead.add("20261120-100001-000a1b2c3")
    other.begin(lane)


def test_what_outlived_its_lease_is_not_in_flight_either(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    lane = replace(LANE, max_concurrency=1)
    one.begin(lane, lease=50)
    machine.desk.clock.advance(51)
    other.begin(lane)


def test_requests_of_all_runs_are_spaced_over_the_minute(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    lane = replace(LANE, requests_per_minute=6)
    now = machine.desk.clock()
    one.begin(lane)
    assert other.held_up(lane) == NotYet(now + 10, "requests_per_minute")
    machine.desk.clock.advance(10)
    other.begin(lane)


def test_tokens_are_taken_as_reserved_and_given_back_as_used(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    lane = replace(LANE, tokens_per_minute=6_000)
    now = machine.desk.clock()
    call = one.begin(lane)
    assert call.tokens == 6_000
    assert other.held_up(lane).until == now + 60
    one.answer(call, tokens=1_000)
    assert other.held_up(lane).until == now + 10
    machine.desk.clock.advance(10)
    refused = other.begin(lane)
    other.fail(refused, "rate_limit")
    one.begin(lane)  # a refused call used nothing


def test_a_call_that_does_not_fit_under_the_cap_takes_no_turn(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    lane = replace(LANE, requests_per_minute=1)
    name = "run/20261120-100001-000a1b2c3/tokens"
    one.ledger.open_scopes([Scope(name, "tokens", 7_000)])
    held = one.begin(LANE)
    seat = Seat("coder", "item-1", 1, "scripted", "small", 32_000)
    ask = Ask(seat=seat, turn=9, request=request(), need=Need(1_000, 5_000), lease=machine.desk.clock() + 9, lane=lane)
    assert isinstance(one.ledger.reserve(ask), Waiting)
    assert isinstance(other.ask(lane), Reservation)
    one.answer(held)


def test_a_time_the_vendor_named_holds_for_all_runs_and_for_that_model_alone(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    now = machine.desk.clock()
    one.fail(one.begin(LANE), "rate_limit", retry_after=18_000)
    assert other.held_up(LANE) == NotYet(now + 18_000, "named", "rate_limit")
    assert other.ledger.named_time(LANE) == Named(now + 18_000, "rate_limit", said=now)
    assert isinstance(other.ask(replace(LANE, model="large")), Reservation)
    assert isinstance(other.ask(replace(LANE, address="http://127.0.0.1:1/v1")), Reservation)


def test_an_answer_to_a_call_that_insisted_takes_the_named_time_back(machine: Machine) -> None:
    one, other = machine.run(1), machine.run(2)
    one.fail(one.begin(LANE), "rate_limit", retry_after=18_000)
    asked = other.ask(LANE, insists=True)
    assert isinstance(asked, Reservation)
    other.answer(asked)
    one.begin(LANE)


def test_an_answer_to_a_call_of_before_does_not_take_the_named_time_back(machine: Machine) -> None:
    one, other, clock = machine.run(1), machine.run(2), machine.desk.clock
    early = other.begin(LANE)
    clock.advance(10)
    one.fail(one.begin(LANE), "rate_limit", retry_after=18_000)
    clock.advance(10)
    other.answer(early)
    assert one.held_up(LANE).why == "named"


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), 1e12, 1e300, -1.0, 0.0, None])
def test_nonsense_for_a_time_closes_nothing(nonsense: float | None, machine: Machine) -> None:
    one = machine.run(1)
    one.fail(one.begin(LANE), "rate_limit", retry_after=nonsense)
    one.begin(LANE)


def test_failures_of_all_runs_set_a_vendor_aside_and_one_probe_brings_it_back(machine: Machine) -> None:
    one, other, clock = machine.run(1), machine.run(2), machine.desk.clock
    for number in range(MOST_FAILURES):
        run = (one, other)[number % 2]
        run.fail(run.begin(LANE), "overloaded")
    assert one.held_up(replace(LANE, model="large")) == NotYet(clock() + 30, "set_aside", "overloaded", MOST_FAILURES)
    clock.advance(30)
    probe = one.begin(LANE)
    assert other.held_up(LANE).why == "probed"
    one.answer(probe)
    other.begin(LANE)
    other.begin(LANE)


def test_a_probe_that_fails_sets_the_vendor_aside_for_longer(machine: Machine) -> None:
    one, clock = machine.run(1), machine.desk.clock
    for _ in range(MOST_FAILURES):
        one.fail(one.begin(LANE), "server")
    clock.advance(30)
    one.fail(one.begin(LANE), "network")
    assert one.held_up(LANE) == NotYet(clock() + 60, "set_aside", "network", MOST_FAILURES + 1)


def test_a_probe_that_is_cancelled_lets_another_call_probe(machine: Machine) -> None:
    one, other, clock = machine.run(1), machine.run(2), machine.desk.clock
    for _ in range(MOST_FAILURES):
        one.fail(one.begin(LANE), "server")
    clock.advance(30)
    one.lose(one.begin(LANE))
    probe = other.begin(LANE)
    assert one.held_up(LANE).why == "probed"
    other.answer(probe)


def test_a_probe_whose_process_died_keeps_nobody_waiting(machine: Machine) -> None:
    one, other, clock = machine.run(1), machine.run(2), machine.desk.clock
    for _ in range(MOST_FAILURES):
        one.fail(one.begin(LANE), "server")
    clock.advance(30)
    one.begin(LANE)
    assert other.held_up(LANE).why == "probed"
    machine.dead.add("20261120-100001-000a1b2c3")
    other.begin(LANE)
    assert machine.run(3).held_up(LANE).why == "probed"


def test_a_resumed_run_does_not_wait_for_the_probe_that_died_with_its_process(machine: Machine) -> None:
    one, clock = machine.run(1), machine.desk.clock
    for _ in range(MOST_FAILURES):
        one.fail(one.begin(LANE), "server")
    clock.advance(30)
    one.begin(LANE)
    resumed = machine.run(1)
    resumed.stage_turn = one.stage_turn
    resumed.ledger.expire_open("the process ended")
    resumed.begin(LANE)


def test_a_clock_that_was_put_back_keeps_nobody_waiting_for_the_time_it_showed(machine: Machine) -> None:
    one, clock = machine.run(1), machine.desk.clock
    lane = replace(LANE, requests_per_minute=1, tokens_per_minute=6_000)
    for _ in range(MOST_FAILURES):
        one.fail(one.begin(LANE), "server")
    clock.advance(30)
    one.fail(one.begin(lane), "overloaded", retry_after=600)
    clock.advance(-1)
    assert isinstance(one.ask(lane), NotYet), "that little is no clock put back"
    clock.advance(-86_400)
    one.begin(lane)
    assert one.held_up(lane) == NotYet(clock() + 60, "requests_per_minute")


def test_calls_that_fail_long_after_the_rest_began_do_not_lengthen_it(machine: Machine) -> None:
    one, clock = machine.run(1), machine.desk.clock
    slow = [one.begin(LANE) for _ in range(3)]
    for _ in range(MOST_FAILURES):
        one.fail(one.begin(LANE), "server")
    clock.advance(30)
    one.fail(slow[0], "timeout")
    probe = one.begin(LANE)
    one.fail(slow[1], "timeout")
    assert one.held_up(LANE).why == "probed"
    one.fail(probe, "server")
    one.fail(slow[2], "timeout")
    assert one.held_up(LANE) == NotYet(clock() + 60, "set_aside", "server", MOST_FAILURES + 1)


def test_a_limit_that_was_raised_is_not_waited_for_as_it_was(machine: Machine) -> None:
    one, clock = machine.run(1), machine.desk.clock
    slow, fast = replace(LANE, tokens_per_minute=60), replace(LANE, tokens_per_minute=600_000)
    call = one.begin(slow)
    assert one.held_up(slow).until == clock() + 6_000
    one.begin(fast)
    one.answer(call, tokens=600)


def test_each_run_is_held_to_its_own_limit_by_the_calls_of_all(machine: Machine) -> None:
    one, other, clock = machine.run(1), machine.run(2), machine.desk.clock
    slow, fast = replace(LANE, requests_per_minute=6), replace(LANE, requests_per_minute=60)
    one.begin(slow)
    assert isinstance(other.ask(fast), Reservation)
    clock.advance(1)
    other.begin(fast)
    clock.advance(9)
    assert one.held_up(slow) == NotYet(clock() + 20, "requests_per_minute"), "three calls of ten seconds each"


@pytest.mark.parametrize("kind", ["auth", "billing", "bad_request", "too_large", "rate_limit"])
def test_a_vendor_that_refuses_is_there(kind: ErrorKind, machine: Machine) -> None:
    one = machine.run(1)
    for _ in range(MOST_FAILURES - 1):
        one.fail(one.begin(LANE), "server")
    one.fail(one.begin(LANE), kind)
    one.fail(one.begin(LANE), "server")
    one.begin(LANE)


def test_a_caller_that_slept_until_its_time_finds_that_it_has_come(machine: Machine) -> None:
    one, clock = machine.run(1), machine.desk.clock
    clock.advance(0.123456789)  # finer than what the database's times can say
    lane = replace(LANE, requests_per_minute=7)
    for _ in range(20):
        one.begin(lane)
        clock.advance(one.held_up(lane).until - clock())
