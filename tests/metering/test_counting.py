"""A call whose bound leaves no room is counted by its vendor, once, before it waits, shrinks or opens the breaker."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from pipeline.errors import BudgetOpenError
from pipeline.events import CallReserved, CallWaiting
from pipeline.memory.budget import FRAMING, Need
from pipeline.memory.ledger import Ask, Reservation
from pipeline.metering.metered_model import MeteredModel, Seat
from stages.model import ModelError, Request, UserTurn
from tests.fakes.clock import FakeDeadline
from tests.fakes.model import Answer, Count, ScriptedModel, reply, request
from tests.state.seats import Desk, desk

pytestmark = pytest.mark.anyio
LONG = request("word " * 8_000)  # 40,000 bytes, about 10,000 tokens


@dataclass
class Bench:
    """A metered model over a scripted one that counts as it is told."""

    desk: Desk
    raw: ScriptedModel
    model: MeteredModel

    @property
    def reserved(self) -> list[CallReserved]:
        return [stored.event for stored in self.desk.journal.events() if isinstance(stored.event, CallReserved)]

    def hold(self, tokens: int) -> Reservation:
        """Let somebody else hold so much."""
        seat = Seat("planner", None, 9, "scripted", "big", 64_000)
        ask = Ask(seat=seat, turn=1, request=request(), need=Need(0, tokens), lease=self.desk.clock() + 100)
        answer = self.desk.ledger.reserve(ask)
        assert isinstance(answer, Reservation)
        return answer


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.cap(tokens=20_000)
        yield opened


def bench(books: Desk, *answers: Answer, counts: tuple[Count, ...], seconds: float = 300.0) -> Bench:
    raw = ScriptedModel(answers, counts)
    model = MeteredModel(
        raw.open,
        ledger=books.ledger,
        seat=Seat("coder", "item-1", 1, "scripted", "small", 32_000),
        pricing=None,
        deadline=FakeDeadline(books.clock, seconds),
        clock=books.clock,
        sleep=books.clock.sleep,
        jitter=lambda: 1.0,
    )
    return Bench(books, raw, model)


async def test_a_call_that_fits_only_by_its_count_is_made_in_full(books: Desk) -> None:
    on = bench(books, reply(input_tokens=10_000), counts=(10_000,))
    await on.model.complete(LONG)
    (reserved,) = on.reserved
    assert (reserved.counted, reserved.shrunken) == (True, False)
    assert (reserved.input_bound, reserved.max_output_tokens) == (10_000 + FRAMING, 4_000)
    assert on.raw.counted == [LONG]


async def test_a_call_that_fits_by_its_bytes_is_not_counted(books: Desk) -> None:
    on = bench(books, reply(), counts=())
    await on.model.complete(request())
    assert on.raw.counted == []
    assert not on.reserved[0].counted


@pytest.mark.parametrize("count", [None, 0, ModelError("server", "no"), TimeoutError(), KeyError("input_tokens")])
async def test_without_a_count_the_bound_decides(books: Desk, count: Count) -> None:
    on = bench(books, reply(), counts=(count,))
    with pytest.raises(BudgetOpenError):
        await on.model.complete(LONG)
    assert (on.raw.asked, books.kinds()) == ([], ["breaker.opened"])


async def test_a_call_is_shrunken_by_what_its_count_leaves(books: Desk) -> None:
    on = bench(books, reply(input_tokens=14_000), counts=(14_000,))
    await on.model.complete(replace(LONG, max_output_tokens=8_000))
    (reserved,) = on.reserved
    assert (reserved.shrunken, reserved.counted) == (True, True)
    assert on.raw.asked[0].max_output_tokens == 20_000 - 14_000 - FRAMING


async def test_a_call_too_large_by_its_count_opens_the_breaker_and_says_what_it_needs(books: Desk) -> None:
    on = bench(books, reply(), counts=(18_000,))
    with pytest.raises(BudgetOpenError, match="at least 21,072 tokens"):
        await on.model.complete(LONG)
    assert on.raw.asked == []


async def test_a_call_is_counted_before_it_waits_for_others(books: Desk) -> None:
    on = bench(books, reply(input_tokens=2_000), counts=(2_000,))
    on.hold(10_000)
    await on.model.complete(LONG)
    assert not [stored for stored in books.journal.events() if isinstance(stored.event, CallWaiting)]


async def test_a_call_that_waits_and_is_tried_again_is_counted_once(books: Desk) -> None:
    on = bench(books, ModelError("overloaded", "busy", generated=False), reply(input_tokens=9_000), counts=(9_000,))
    other = on.hold(8_000)

    async def sleep(_: float) -> None:
        if other.key in {row.key for row in books.ledger.calls() if row.state == "held"}:
            books.ledger.release(other, ModelError("overloaded", "busy", generated=False))
        await anyio.lowlevel.checkpoint()

    model = MeteredModel(
        on.raw.open,
        ledger=books.ledger,
        seat=Seat("coder", None, 1, "scripted", "small", 32_000),
        pricing=None,
        deadline=FakeDeadline(books.clock, 300),
        clock=books.clock,
        sleep=sleep,
    )
    await model.complete(LONG)
    assert len(on.raw.asked) == 2
    assert len(on.raw.counted) == 1
    assert [event.counted for event in on.reserved if event.stage == "coder"] == [True, True]


async def test_the_next_call_is_bounded_by_what_this_one_reported_not_by_its_count(books: Desk) -> None:
    on = bench(books, reply(input_tokens=9_000, output_tokens=100, cache_read=8_900), reply(), counts=(10_000,))
    answer = await on.model.complete(LONG)
    await on.model.complete(replace(LONG, turns=(*LONG.turns, answer.turn, UserTurn("go on"))))
    assert 9_000 + 100 + FRAMING < on.reserved[1].input_bound < 9_000 + 100 + FRAMING + 150
    assert [event.counted for event in on.reserved] == [True, False]


async def test_a_count_is_never_believed_below_what_the_call_before_reported(books: Desk) -> None:
    on = bench(books, reply(input_tokens=11_000, cache_read=10_900), reply(input_tokens=11_500), counts=(9_000, 200))
    answer = await on.model.complete(LONG)
    longer = (*LONG.turns, answer.turn, UserTurn("y" * 9_000))
    await on.model.complete(replace(LONG, turns=longer))
    assert [event.input_bound for event in on.reserved] == [9_000 + FRAMING, 11_000 + FRAMING]


async def test_a_count_that_proved_too_low_is_an_overrun_and_opens(books: Desk) -> None:
    on = bench(books, reply(input_tokens=17_000, output_tokens=2_000), reply(), counts=(10_000,))
    assert (await on.model.complete(LONG)).usage.input == 17_000
    assert books.ledger.calls()[0].overrun
    with pytest.raises(BudgetOpenError):
        await on.model.complete(request())


async def test_a_counted_try_without_usage_is_charged_at_its_count_and_the_reserved_output(books: Desk) -> None:
    on = bench(books, ModelError("too_large", "broken", generated=True), counts=(9_000,))
    with pytest.raises(Exception, match="broken"):
        await on.model.complete(LONG)
    (row,) = books.ledger.calls()
    assert row.settled == row.reserved == 9_000 + FRAMING + 4_000


async def test_a_count_that_hangs_ends_with_the_attempt(books: Desk) -> None:
    async def hangs(_: Request) -> int | None:
        books.clock.advance(10)
        await anyio.sleep_forever()
        raise AssertionError

    on = bench(books, reply(), counts=(hangs,), seconds=0.01)
    with pytest.raises(TimeoutError, match="out of time"):
        await on.model.complete(LONG)
    assert (on.raw.asked, books.kinds()) == ([], [])
