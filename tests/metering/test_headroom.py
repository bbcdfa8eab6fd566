"""Whatever the calls of a run: its use, its longest prompt and 4,000 tokens are enough where the vendor counts."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BudgetOpenError
from pipeline.memory.transcript import request_size
from pipeline.metering.metered_model import MeteredModel, Seat
from stages.model import ModelTurn, Reply, Request, Turn, Usage, UserTurn
from tests.fakes.clock import FakeDeadline
from tests.state.seats import Desk, desk

HEADROOM = 4_000
GENEROUS = 50_000_000


@dataclass(frozen=True)
class Call:
    """One call: bytes that are added to the conversation before it, tokens it answers with."""

    added: int
    output: int


@dataclass
class CountingModel:
    """Counts as its bytes come, reads what it can from its cache, and answers as many tokens as it is told."""

    outputs: list[int]
    bytes_a_token: float
    cached: float
    counting: bool
    seen: int = 0
    usages: list[Usage] = field(default_factory=list)

    async def open(self) -> "CountingModel":
        return self

    async def complete(self, request: Request) -> Reply:
        tokens = self._tokens(request)
        output = self.outputs.pop(0)
        assert output <= request.max_output_tokens, "a shrunken limit would have cut this reply"
        usage = Usage(input=tokens, cache_read=int(min(self.seen, tokens) * self.cached), output=output)
        self.seen = tokens
        self.usages.append(usage)
        return Reply(ModelTurn("x" * int(output * self.bytes_a_token)), "done", usage)

    async def count_tokens(self, request: Request) -> int | None:
        return self._tokens(request) if self.counting else None

    def _tokens(self, request: Request) -> int:
        return ceil(request_size(request) / self.bytes_a_token)


@dataclass(frozen=True)
class Plan:
    """The attempts of a run and the vendor they meet; `cached` is the share of a known prefix that is found again."""

    attempts: Sequence[Sequence[Call]]
    bytes_a_token: float
    cached: float
    counting: bool = True

    async def run(self, books: Desk) -> tuple[int, int]:
        """Make every call and return (what was charged, the longest prompt)."""
        longest = 0
        for number, calls in enumerate(self.attempts, 1):
            raw = CountingModel([call.output for call in calls], self.bytes_a_token, self.cached, self.counting)
            model = MeteredModel(
                raw.open,
                ledger=books.ledger,
                seat=Seat("coder", "item-1", number, "scripted", "small", 16_000),
                pricing=None,
                deadline=FakeDeadline(books.clock, 300),
                clock=books.clock,
                sleep=books.clock.sleep,
            )
            turns: list[Turn] = []
            for call in calls:
                turns.append(UserTurn("y" * call.added))
                reply = await model.complete(Request("You are the Coder.", tuple(turns), (), 16_000))
                turns.append(reply.turn)
            longest = max(longest, *(usage.input for usage in raw.usages))
        return books.balance().spent, longest


PLANS = st.builds(
    Plan,
    st.lists(
        st.lists(
            st.builds(Call, st.integers(1, 60_000), st.integers(1, 6_000) | st.integers(1, 16_000)),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
        max_size=3,
    ),
    st.floats(1.0, 6.0),
    st.sampled_from([0.0, 0.5, 1.0]),
)


def spent_with(plan: Plan, cap: int) -> tuple[int, int]:
    with tempfile.TemporaryDirectory(prefix="headroom-") as folder, desk(Path(folder)) as books:
        books.cap(tokens=cap)
        return anyio.run(plan.run, books)


@settings(max_examples=25)
@given(PLANS)
def test_use_and_longest_prompt_and_4000_tokens_complete_any_run(plan: Plan) -> None:
    used, longest = spent_with(plan, GENEROUS)
    assert spent_with(plan, used + longest + HEADROOM) == (used, longest)


def test_half_of_that_does_not() -> None:
    """Without this the test above would prove nothing."""
    plan = Plan([[Call(40_000, 10), Call(1, 1)]], bytes_a_token=4.0, cached=1.0)
    used, longest = spent_with(plan, GENEROUS)
    with pytest.raises(BudgetOpenError):
        spent_with(plan, used + longest + HEADROOM // 2)


def test_neither_does_all_of_it_where_nobody_counts() -> None:
    plan = Plan([[Call(100, 10)], [Call(40_000, 10)]], bytes_a_token=4.0, cached=1.0, counting=False)
    used, longest = spent_with(plan, GENEROUS)
    with pytest.raises(BudgetOpenError):
        spent_with(plan, used + longest + HEADROOM)
    assert spent_with(replace(plan, counting=True), used + longest + HEADROOM) == (used, longest)
