"""A stage's calls wait their turn on the attempt's clock, visibly, and give way to a fallback in an outage."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipeline.errors import ParkedError
from pipeline.events import CallWaiting
from pipeline.memory.budget import Need
from pipeline.memory.ledger import Ask, Reservation, Seat
from pipeline.memory.pace import MOST_FAILURES, Lane
from pipeline.metering.metered_model import FallbackDueError, MeteredModel, VendorStopError
from stages.model import ErrorKind, ModelError
from tests.fakes.clock import FakeClock, FakeDeadline
from tests.fakes.model import Answer, ScriptedModel, reply, request
from tests.state.seats import Desk, desk

pytestmark = pytest.mark.anyio

LANE = Lane("scripted", "small")
SEAT = Seat("coder", "item-1", 1, "scripted", "small", 32_000)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.cap(tokens=10_000_000)
        yield opened


class Stage:
    """A metered model over a scripted one."""

    def __init__(
        self,
        books: Desk,
        *answers: Answer,
        lane: Lane = LANE,
        seconds: float = 300.0,
        insists: bool = False,
        may_fall_back: bool = False,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.raw = ScriptedModel(answers)
        self.deadline = FakeDeadline(books.clock, seconds)
        self.model = MeteredModel(
            self.raw.open,
            ledger=books.ledger,
            seat=SEAT,
            pricing=None,
            deadline=self.deadline,
            clock=books.clock,
            sleep=sleep or books.clock.sleep,
            jitter=lambda: 1.0,
            lane=lane,
            insists=insists,
            may_fall_back=may_fall_back,
        )


def refusal(kind: ErrorKind, retry_after: float | None = None) -> ModelError:
    return ModelError(kind, "no", retry_after=retry_after, generated=False)


def others_call(books: Desk, lane: Lane = LANE) -> Reservation:
    """Begin a call of somebody else's."""
    ask = Ask(
        seat=replace(SEAT, attempt=9),
        turn=1,
        request=request(),
        need=Need(1_000, 5_000),
        lease=books.clock() + 9_999,
        lane=lane,
    )
    answer = books.ledger.reserve(ask)
    assert isinstance(answer, Reservation), answer
    return answer


def set_aside(books: Desk, failures: int = MOST_FAILURES) -> None:
    for _ in range(failures):
        books.ledger.release(others_call(books), refusal("server"))


def waits(books: Desk) -> list[tuple[str, str | None, float]]:
    events = [stored.event for stored in books.journal.events()]
    return [(e.reason, e.error, round(e.seconds, 3)) for e in events if isinstance(e, CallWaiting)]


async def test_calls_are_spaced_and_the_wait_is_the_attempts_time(books: Desk) -> None:
    stage = Stage(books, reply(), reply(), lane=replace(LANE, requests_per_minute=6))
    began = books.clock()
    await stage.model.complete(request())
    await stage.model.complete(request())
    assert books.clock() == began + 10
    assert stage.deadline.extended == 0
    assert waits(books) == [("pace", None, 10.0)]


async def test_a_rate_that_is_used_up_beyond_the_deadline_parks(books: Desk) -> None:
    lane = replace(LANE, tokens_per_minute=1_000)  # what is in flight fills six minutes
    others_call(books, lane)
    stage = Stage(books, lane=lane)
    with pytest.raises(ParkedError, match=r"vendors\.scripted\.tokens_per_minute \(1_000\) is used up") as parked:
        await stage.model.complete(request())
    assert parked.value.resume_at == books.clock() + 360
    assert str(parked.value).endswith("the attempt's timeout passes before 2025-11-20 10:06:00 UTC")
    assert stage.raw.asked == []


async def test_a_waiter_goes_on_as_soon_as_there_is_room(books: Desk) -> None:
    lane = replace(LANE, max_concurrency=1)
    other = others_call(books, lane)
    waiting = anyio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await anyio.sleep_forever()

    raw = ScriptedModel([reply()])
    model = MeteredModel(
        raw.open,
        ledger=books.ledger,
        seat=SEAT,
        pricing=None,
        deadline=FakeDeadline(books.clock, 300),
        clock=books.clock,
        sleep=sleep,
        lane=lane,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.complete, request())
        await waiting.wait()
        assert raw.asked == []
        books.ledger.release(other, refusal("rate_limit"))
    assert len(raw.asked) == 1
    assert waits(books) == [("pace", None, 300.0)]


async def test_waiting_among_the_calls_in_flight_is_not_the_attempts_time(books: Desk) -> None:
    """Nothing names its end, and it must not eat a retry: the run's wall clock bounds it."""
    lane = replace(LANE, max_concurrency=1)
    other = others_call(books, lane)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await books.clock.sleep(seconds)
        if len(slept) == 6:
            books.ledger.release(other, refusal("rate_limit"))

    stage = Stage(books, reply(), lane=lane, seconds=12, sleep=sleep)
    await stage.model.complete(request())
    assert slept == [5.0] * 6
    assert stage.deadline.extended == 30.0
    assert stage.deadline.remaining() == 12.0


@pytest.mark.parametrize("jump", [-3_600, 0, 36_000])
async def test_a_clock_that_is_set_while_a_call_waits_for_room_moves_no_deadline(jump: float, tmp_path: Path) -> None:
    with desk(tmp_path) as books:
        books.cap(tokens=7_000)
        other, steady = others_call(books), FakeClock()
        deadline, raw = FakeDeadline(steady, 300), ScriptedModel([reply()])

        async def sleep(seconds: float) -> None:
            books.clock.advance(seconds + jump)
            await steady.sleep(seconds)
            books.ledger.release(other, refusal("rate_limit"))

        model = MeteredModel(
            raw.open,
            ledger=books.ledger,
            seat=SEAT,
            pricing=None,
            deadline=deadline,
            clock=books.clock,
            sleep=sleep,
            lane=LANE,
        )
        await model.complete(request())
        assert deadline.extended == sum(steady.slept)


async def test_a_named_time_is_waited_for_without_asking_the_vendor(books: Desk) -> None:
    books.ledger.release(others_call(books), refusal("rate_limit", retry_after=20))
    stage = Stage(books, reply())
    await stage.model.complete(request())
    assert waits(books) == [("outage", "rate_limit", 20.0)]
    assert len(stage.raw.asked) == 1


async def test_a_quota_window_parks_without_asking_the_vendor(books: Desk) -> None:
    books.ledger.release(others_call(books), refusal("rate_limit", retry_after=18_000))
    stage = Stage(books)
    with pytest.raises(ParkedError, match="it said that it answers again from") as parked:
        await stage.model.complete(request())
    assert parked.value.resume_at == books.clock() + 18_000
    assert stage.raw.asked == []


async def test_an_attempt_that_insists_asks_once(books: Desk) -> None:
    books.ledger.release(others_call(books), refusal("rate_limit", retry_after=18_000))
    stage = Stage(books, refusal("rate_limit", retry_after=17_000), insists=True)
    with pytest.raises(ParkedError) as parked:
        await stage.model.complete(request())
    assert parked.value.resume_at == books.clock() + 17_000
    assert len(stage.raw.asked) == 1


async def test_a_vendor_set_aside_is_waited_for_and_probed(books: Desk) -> None:
    set_aside(books)
    stage = Stage(books, reply())
    await stage.model.complete(request())
    assert waits(books) == [("outage", "server", 30.0)]


async def test_a_vendor_set_aside_beyond_the_deadline_stops_the_run(books: Desk) -> None:
    set_aside(books)
    stage = Stage(books, seconds=20)
    with pytest.raises(VendorStopError, match="it failed 5 times in a row and is set aside until"):
        await stage.model.complete(request())


def probed(books: Desk) -> None:
    """Set the vendor aside and begin the call that finds out whether it is back, which takes long."""
    set_aside(books)
    books.clock.advance(30)
    others_call(books)


async def test_a_probe_that_takes_longer_than_the_attempt_has_is_an_outage_and_no_timeout(books: Desk) -> None:
    probed(books)
    stage = Stage(books, seconds=50)
    with pytest.raises(VendorStopError, match="another call is finding out whether it is back"):
        await stage.model.complete(request())
    assert sum(books.clock.slept) == 45


async def test_a_probe_that_takes_long_is_not_waited_for_where_there_is_a_fallback(books: Desk) -> None:
    probed(books)
    stage = Stage(books, may_fall_back=True)
    with pytest.raises(FallbackDueError, match="the wait is 35 s already"):
        await stage.model.complete(request())
    assert stage.raw.asked == []


async def test_an_attempt_falls_back_after_the_second_failed_try_with_the_time_it_has_left(books: Desk) -> None:
    stage = Stage(books, refusal("network"), refusal("network"), may_fall_back=True)
    with pytest.raises(FallbackDueError, match=r"it failed 2 times") as due:
        await stage.model.complete(request())
    assert due.value.seconds == 299.0
    assert (due.value.failure.kind, due.value.failure.code) == ("vendor", "fallback")
    assert books.balance().held == 0


async def test_an_attempt_falls_back_instead_of_a_long_wait(books: Desk) -> None:
    stage = Stage(books, refusal("rate_limit", retry_after=31), may_fall_back=True)
    with pytest.raises(FallbackDueError, match="the wait would be 31 s"):
        await stage.model.complete(request())
    assert books.clock.slept == []


@pytest.mark.parametrize("kind", ["auth", "billing", "bad_request"])
async def test_what_is_no_outage_never_falls_back(kind: ErrorKind, books: Desk) -> None:
    stage = Stage(books, refusal(kind), may_fall_back=True)
    with pytest.raises(VendorStopError):
        await stage.model.complete(request())
