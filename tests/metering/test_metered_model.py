"""A stage's model cannot be used past the breaker, past its deadline, or without a trace."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from pipeline.errors import BudgetOpenError, ParkedError
from pipeline.events import CallReserved, CallSettled, CallWaiting
from pipeline.memory.budget import Need
from pipeline.memory.ledger import Ask, Reservation
from pipeline.metering.metered_model import LOOK_AGAIN, MeteredModel, Seat, UnusableReplyError, VendorStopError
from stages.model import ErrorKind, Model, ModelError, ModelTurn, Reply, Request, ToolCall, Usage, UserTurn
from tests.fakes.clock import FakeDeadline
from tests.fakes.model import Answer, ScriptedModel, reply, request
from tests.state.seats import COST, TOKENS, Desk, desk, price

pytestmark = pytest.mark.anyio


class FlatPricing:
    """$5 and $25 per million tokens, cached or not."""

    def cost(self, usage: Usage) -> Decimal:
        return price(usage.input, usage.output)

    def ceiling(self, input_tokens: int, output_tokens: int) -> Decimal:
        return price(input_tokens, output_tokens)

    def record(self) -> dict[str, str]:
        return {"input": "5", "output": "25"}


@dataclass
class Bench:
    """A metered model over a scripted one, and everything it writes to."""

    desk: Desk
    raw: ScriptedModel
    model: MeteredModel
    deadline: FakeDeadline

    @property
    def states(self) -> list[tuple[str, int | None, str | None]]:
        return [(row.state, row.settled, row.error) for row in self.desk.ledger.calls()]

    def hold(self, tokens: int, input_bound: int = 0) -> Reservation:
        """Let somebody else hold so much."""
        seat = Seat("planner", None, 9, "scripted", "big", 64_000)
        ask = Ask(seat=seat, turn=1, request=request(), need=Need(input_bound, tokens), lease=self.desk.clock() + 100)
        answer = self.desk.ledger.reserve(ask)
        assert isinstance(answer, Reservation)
        return answer


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.cap(tokens=1_000_000)
        yield opened


def bench(books: Desk, *answers: Answer, seconds: float = 300.0, ceiling: int = 32_000, priced: bool = True) -> Bench:
    raw = ScriptedModel(answers)
    deadline = FakeDeadline(books.clock, seconds)
    model = MeteredModel(
        raw.open,
        ledger=books.ledger,
        seat=Seat("coder", "item-1", 1, "scripted", "small", ceiling),
        pricing=FlatPricing() if priced else None,
        deadline=deadline,
        clock=books.clock,
        sleep=books.clock.sleep,
        jitter=lambda: 1.0,
    )
    return Bench(books, raw, model, deadline)


def failing(kind: ErrorKind, *, retry_after: float | None = None) -> ModelError:
    """Return a failure that was certainly not billed."""
    return ModelError(kind, "no", retry_after=retry_after, generated=False)


async def test_an_answer_is_reserved_settled_and_returned(books: Desk) -> None:
    on = bench(books, reply("hi"))
    answer = await on.model.complete(request())
    assert answer == reply("hi")
    assert books.kinds() == ["call.reserved", "call.settled"]
    (row,) = books.ledger.calls()
    assert (row.stage, row.item, row.attempt, row.turn, row.try_number) == ("coder", "item-1", 1, 1, 1)
    assert (row.cost, row.price) == ("0.007000", {"input": "5", "output": "25"})


async def test_the_vendor_is_opened_once_and_only_when_its_first_call_is_due(books: Desk) -> None:
    on = bench(books, reply(), reply())
    assert on.raw.opened == 0
    await on.model.complete(request())
    await on.model.complete(request())
    assert on.raw.opened == 1


async def test_calls_of_an_attempt_are_numbered(books: Desk) -> None:
    on = bench(books, failing("overloaded"), reply(), reply())
    await on.model.complete(request())
    await on.model.complete(request())
    assert [(row.turn, row.try_number) for row in books.ledger.calls()] == [(1, 1), (1, 2), (2, 1)]


async def test_the_limit_is_what_the_request_wants_but_never_above_the_models_own(books: Desk) -> None:
    on = bench(books, reply(), reply(), ceiling=8_000)
    await on.model.complete(request(max_output_tokens=8_000))
    await on.model.complete(request(max_output_tokens=16_000))
    assert [asked.max_output_tokens for asked in on.raw.asked] == [8_000, 8_000]


async def test_a_call_that_extends_the_one_before_is_bounded_by_what_that_reported(books: Desk) -> None:
    on = bench(books, reply("ok", input_tokens=20_000, output_tokens=50), reply())
    first = request("x" * 60_000)
    answer = await on.model.complete(first)
    await on.model.complete(replace(first, turns=(*first.turns, answer.turn, UserTurn("y" * 100))))
    bounds = [row.event.input_bound for row in books.journal.events() if isinstance(row.event, CallReserved)]
    assert bounds[0] > 60_000
    assert 20_000 + 50 + 2_048 + 100 < bounds[1] < 20_000 + 50 + 2_048 + 250


@pytest.mark.parametrize("changed", ["system", "turn", "answer"])
async def test_a_call_that_changes_history_is_bounded_by_its_bytes(books: Desk, changed: str) -> None:
    on = bench(books, reply(input_tokens=20, output_tokens=5), reply())
    first = request("x" * 60_000)
    answer = (await on.model.complete(first)).turn
    system = "another" if changed == "system" else first.system
    opening = UserTurn("z" * 60_000) if changed == "turn" else first.turns[0]
    said = ModelTurn("never said") if changed == "answer" else answer
    await on.model.complete(replace(first, system=system, turns=(opening, said, UserTurn("go on"))))
    bounds = [row.event.input_bound for row in books.journal.events() if isinstance(row.event, CallReserved)]
    assert bounds[1] > 60_000


async def test_a_call_is_shrunken_to_what_is_left(books: Desk) -> None:
    on = bench(books, reply())
    books.cap(tokens=1_000_000)
    spent = on.hold(900_000)
    books.ledger.expire_open("killed")
    assert spent.tokens == 900_000
    await on.model.complete(request("x" * 90_000, max_output_tokens=32_000))
    reserved = [stored.event for stored in books.journal.events() if isinstance(stored.event, CallReserved)][-1]
    assert reserved.shrunken
    assert reserved.tokens == 100_000
    assert on.raw.asked[0].max_output_tokens == reserved.max_output_tokens < 10_000


async def test_a_call_that_does_not_fit_is_never_sent(tmp_path: Path) -> None:
    with desk(tmp_path) as books:
        books.cap(tokens=3_000)
        on = bench(books, reply())
        with pytest.raises(BudgetOpenError):
            await on.model.complete(request())
        assert on.raw.asked == []
        assert books.kinds() == ["breaker.opened"]


async def test_a_reply_cut_at_a_shrunken_limit_ends_the_run_and_is_kept(tmp_path: Path) -> None:
    with desk(tmp_path) as books:
        books.cap(tokens=5_000)
        on = bench(books, reply("half", stop="truncated"))
        with pytest.raises(BudgetOpenError, match="cut at"):
            await on.model.complete(request())
        assert books.ledger.calls()[0].reply is not None


async def test_a_reply_cut_at_its_full_limit_is_the_stages_to_ask_again(books: Desk) -> None:
    cut = reply("half", stop="truncated")
    assert await bench(books, cut).model.complete(request()) == cut


async def test_after_an_overrun_the_answer_is_returned_and_the_next_call_refused(books: Desk) -> None:
    on = bench(books, reply(output_tokens=900_000), reply())
    assert (await on.model.complete(request())).usage.output == 900_000
    with pytest.raises(BudgetOpenError):
        await on.model.complete(request())
    assert len(on.raw.asked) == 1


async def test_a_refusal_is_paid_and_unusable(books: Desk) -> None:
    on = bench(books, reply("I cannot", stop="refused"))
    with pytest.raises(UnusableReplyError, match="I cannot") as refused:
        await on.model.complete(request())
    assert (refused.value.failure.kind, refused.value.failure.code) == ("unusable", "refused")
    assert on.states == [("settled", 1_000, None)]


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(input=900), Usage(input=5, cache_read=900, output=3), Usage(input=-3, output=10)]
)
async def test_an_answer_without_credible_usage_is_charged_at_its_reservation(books: Desk, usage: Usage) -> None:
    on = bench(books, replace(reply(), usage=usage))
    answer = await on.model.complete(request())
    (row,) = books.ledger.calls()
    assert row.settled == row.reserved == answer.usage.counted
    assert (row.usage["source"], answer.usage.source) == ("reserved", "reserved")
    assert row.cost is not None
    assert Decimal(row.cost) == price(answer.usage.input, answer.usage.output)


async def test_a_model_without_a_price_has_no_cost_but_is_charged_in_tokens(books: Desk) -> None:
    await bench(books, reply(), priced=False).model.complete(request())
    (row,) = books.ledger.calls()
    assert (row.cost, row.price, row.settled) == (None, None, 1_000)


async def test_a_throttled_call_releases_waits_as_told_and_tries_again(books: Desk) -> None:
    on = bench(books, failing("rate_limit", retry_after=7), failing("overloaded"), failing("overloaded"), reply())
    await on.model.complete(request())
    assert books.clock.slept == [7.0, 2.0, 4.0]
    assert on.states == [("released", 0, "rate_limit"), *[("released", 0, "overloaded")] * 2, ("settled", 1_000, None)]
    waits = [stored.event for stored in books.journal.events() if isinstance(stored.event, CallWaiting)]
    assert [(wait.reason, wait.error, wait.seconds) for wait in waits] == [
        ("retry", "rate_limit", 7.0),
        ("retry", "overloaded", 2.0),
        ("retry", "overloaded", 4.0),
    ]
    assert on.deadline.extended == 0.0, "a wait for the vendor is the attempt's time"


async def test_replies_throttled_in_their_middle_are_charged_and_so_tried_no_more_than_twice(books: Desk) -> None:
    midway = [ModelError("overloaded", "no", generated=True) for _ in range(9)]
    on = bench(books, failing("overloaded"), *midway)
    with pytest.raises(VendorStopError):
        await on.model.complete(request())
    assert [(state, error) for state, _, error in on.states] == [
        ("released", "overloaded"),
        ("settled", "overloaded"),
        ("settled", "overloaded"),
    ]


async def test_nothing_is_held_while_a_call_waits_for_its_vendor(books: Desk) -> None:
    held: list[int] = []

    async def sleep(_: float) -> None:
        held.append(books.balance().held)

    raw = ScriptedModel([failing("overloaded"), reply()])
    seat = Seat("coder", None, 1, "scripted", "small", 32_000)
    deadline = FakeDeadline(books.clock, 300)
    model = MeteredModel(
        raw.open, ledger=books.ledger, seat=seat, pricing=None, deadline=deadline, clock=books.clock, sleep=sleep
    )
    await model.complete(request())
    assert held == [0]


async def test_a_rate_limit_beyond_the_deadline_parks_the_run(books: Desk) -> None:
    on = bench(books, failing("rate_limit", retry_after=7_200))
    with pytest.raises(ParkedError) as parked:
        await on.model.complete(request())
    assert parked.value.resume_at == books.clock() + 7_200
    assert books.balance().held == books.balance().spent == 0


@pytest.mark.parametrize(
    ("kind", "advice"), [("auth", "key"), ("billing", "credit"), ("bad_request", r"stages\.coder")]
)
async def test_what_no_retry_can_help_stops_the_run_and_says_what_to_do(
    books: Desk, kind: ErrorKind, advice: str
) -> None:
    on = bench(books, failing(kind))
    with pytest.raises(VendorStopError, match=advice) as stopped:
        await on.model.complete(request())
    assert (stopped.value.failure.kind, stopped.value.failure.code) == ("vendor", kind)
    assert len(on.raw.asked) == 1


async def test_too_large_is_unusable(books: Desk) -> None:
    with pytest.raises(UnusableReplyError) as unusable:
        await bench(books, failing("too_large")).model.complete(request())
    assert unusable.value.failure.code == "too_large"


@pytest.mark.parametrize(("kind", "ends"), [("timeout", UnusableReplyError), ("server", VendorStopError)])
async def test_two_tries_without_usage_are_charged_in_full_and_end_the_call(
    books: Desk, kind: ErrorKind, ends: type[Exception]
) -> None:
    on = bench(books, ModelError(kind, "broken"), ModelError(kind, "broken"), reply())
    with pytest.raises(ends):
        await on.model.complete(request())
    rows = books.ledger.calls()
    assert [(row.state, row.error, row.usage["source"]) for row in rows] == [("settled", kind, "reserved")] * 2
    assert books.balance().spent == sum(row.reserved for row in rows)


async def test_a_stream_that_reported_its_input_is_charged_that_and_the_reserved_output(books: Desk) -> None:
    broken = ModelError("network", "broken", input_reported=(700, 600))
    await bench(books, broken, reply()).model.complete(request())
    first = books.ledger.calls()[0]
    assert first.settled == 700 - 600 + 4_000
    assert first.cost is not None
    assert Decimal(first.cost) == price(700, 4_000)


async def test_an_absurd_reported_input_is_not_believed(books: Desk) -> None:
    broken = ModelError("network", "broken", input_reported=(-5, 600))
    await bench(books, broken, reply()).model.complete(request())
    first = books.ledger.calls()[0]
    assert first.settled == first.reserved


async def test_a_clients_own_timeout_is_a_timeout_of_the_vendor(books: Desk) -> None:
    on = bench(books, TimeoutError(), reply())
    await on.model.complete(request())
    assert [row.error for row in books.ledger.calls()] == ["timeout", None]


async def test_a_defect_of_a_vendor_module_is_charged_and_not_hidden(books: Desk) -> None:
    on = bench(books, KeyError("usage"))
    with pytest.raises(KeyError):
        await on.model.complete(request())
    (row,) = books.ledger.calls()
    assert (row.settled, row.error) == (row.reserved, "KeyError")


async def never(_: Request) -> Reply:
    await anyio.sleep_forever()
    raise AssertionError


async def test_a_call_is_cut_off_at_the_attempts_deadline_and_charged(books: Desk) -> None:
    on = bench(books, never, seconds=0.01)
    with pytest.raises(TimeoutError, match="out of time"):
        await on.model.complete(request())
    (row,) = books.ledger.calls()
    assert (row.state, row.settled, row.error) == ("settled", row.reserved, "deadline")


async def test_no_call_starts_after_the_deadline(books: Desk) -> None:
    on = bench(books, reply(), seconds=0.0)
    with pytest.raises(TimeoutError):
        await on.model.complete(request())
    assert (on.raw.asked, books.kinds()) == ([], [])


async def test_a_cancelled_call_is_charged_at_its_reservation(books: Desk) -> None:
    sent = anyio.Event()

    async def hangs(_: Request) -> Reply:
        sent.set()
        return await never(_)

    on = bench(books, hangs)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(on.model.complete, request())
        await sent.wait()
        assert books.balance().held > 0
        tasks.cancel_scope.cancel()
    (row,) = books.ledger.calls()
    assert (row.state, row.settled, row.error) == ("settled", row.reserved, "cancelled")
    assert (books.balance().held, books.balance().spent) == (0, row.reserved)


async def test_a_call_waits_for_what_another_holds_and_the_wait_is_not_the_attempts_time(books: Desk) -> None:
    on = bench(books, reply())
    other = on.hold(999_000)
    looks: list[float] = []

    async def sleep(seconds: float) -> None:
        looks.append(seconds)
        await books.clock.sleep(seconds)
        if len(looks) == 3:
            books.ledger.release(other, failing("overloaded"))

    model = MeteredModel(
        on.raw.open,
        ledger=books.ledger,
        seat=Seat("coder", None, 1, "scripted", "small", 32_000),
        pricing=None,
        deadline=on.deadline,
        clock=books.clock,
        sleep=sleep,
    )
    await model.complete(request())
    assert looks == [LOOK_AGAIN] * 3
    assert on.deadline.extended == 3 * LOOK_AGAIN
    waits = [stored.event for stored in books.journal.events() if isinstance(stored.event, CallWaiting)]
    assert [(wait.reason, wait.seconds) for wait in waits] == [("budget", 100.0)]
    settled = books.journal.events()[-1].event
    assert isinstance(settled, CallSettled)
    assert waits[0].key == settled.key


async def test_a_refusal_before_generation_is_unusable_as_one_in_a_reply_is_and_costs_nothing(books: Desk) -> None:
    on = bench(books, ModelError("bad_request", "against the rules", generated=False, refusal=True))
    with pytest.raises(UnusableReplyError) as unusable:
        await on.model.complete(request())
    assert unusable.value.failure.code == "refused"
    assert on.states == [("released", 0, "bad_request")]


async def test_a_waiter_is_woken_at_once_by_a_settlement_in_its_process(books: Desk) -> None:
    on = bench(books)
    other = on.hold(999_000)
    waiting = anyio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await anyio.sleep_forever()

    raw = ScriptedModel([reply()])
    model = MeteredModel(
        raw.open,
        ledger=books.ledger,
        seat=Seat("coder", None, 1, "scripted", "small", 32_000),
        pricing=None,
        deadline=on.deadline,
        clock=books.clock,
        sleep=sleep,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.complete, request())
        await waiting.wait()
        assert raw.asked == []
        books.ledger.release(other, failing("overloaded"))
    assert len(raw.asked) == 1


async def test_a_waiter_is_refused_when_the_breaker_opens_meanwhile(books: Desk) -> None:
    on = bench(books, reply())
    other = on.hold(999_000)

    async def sleep(_: float) -> None:
        with pytest.raises(BudgetOpenError):
            on.hold(10, input_bound=1_200_000)
        books.ledger.release(other, failing("overloaded"))

    model = MeteredModel(
        on.raw.open,
        ledger=books.ledger,
        seat=Seat("coder", None, 1, "scripted", "small", 32_000),
        pricing=None,
        deadline=on.deadline,
        clock=books.clock,
        sleep=sleep,
    )
    with pytest.raises(BudgetOpenError):
        await model.complete(request())
    assert on.raw.asked == []


async def test_parallel_calls_of_a_stage_share_one_ledger(books: Desk) -> None:
    books.cap(tokens=1_000_000, cost=10_000_000)
    on = bench(books, *[reply()] * 8)
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(on.model.complete, request(f"part {number}"))
    assert books.balance(TOKENS).spent == 8_000
    assert books.balance(COST).spent == 56_000
    assert on.raw.opened == 1


async def test_tool_calls_without_text_need_output_tokens_to_be_believed(books: Desk) -> None:
    called = reply("", output_tokens=0, calls=[ToolCall("1", "finish", {})])
    assert (await bench(books, called).model.complete(request())).usage.source == "reserved"


async def test_counting_costs_nothing(books: Desk) -> None:
    model: Model = bench(books).model
    assert await model.count_tokens(request("12345")) == 5
    assert books.kinds() == []
