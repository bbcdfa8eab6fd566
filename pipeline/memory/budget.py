"""The rules of the token circuit breaker: what a call may cost at most, and whether it may start.

Pure: no clock, no database, no models. Tokens, and money in whole micro-USD (a millionth of a dollar), rounded up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from stages.model import Usage

Unit = Literal["tokens", "micro_usd"]
LEAST_OUTPUT = 1_024  # fewer output tokens than this are of no use to a stage
FRAMING = 2_048  # what a vendor adds to a request that is not in its text: tool preambles, role markers
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Something with a cap: a run, a stage's share of it. `name` as in `docs/budget.md`."""

    name: str
    unit: Unit
    cap: int


@dataclass(frozen=True, slots=True)
class Balance:
    """A scope as it stands. `opened` says why it takes no further call, None while it does."""

    name: str
    unit: Unit
    cap: int
    held: int = 0
    spent: int = 0
    opened: str | None = None
    warned: bool = False

    @property
    def room(self) -> int:
        """What can still be reserved; negative after an overrun."""
        return self.cap - self.spent - self.held


@dataclass(frozen=True, slots=True)
class Need:
    """A call that wants to start. `ceiling` is the dearest price in USD of (input, output) tokens, None if unknown."""

    input_bound: int
    max_output_tokens: int
    ceiling: Callable[[int, int], Decimal] | None = None

    @property
    def least_output(self) -> int:
        """The fewest output tokens that are of use."""
        return min(LEAST_OUTPUT, self.max_output_tokens)

    def amount(self, output: int, unit: Unit) -> int | None:
        """Return the worst case with so many output tokens, None where it has no known price."""
        if unit == "tokens":
            return self.input_bound + output
        return None if self.ceiling is None else micro_usd(self.ceiling(self.input_bound, output))

    def fits(self, output: int, unit: Unit, room: int) -> bool:
        """Say whether the worst case with so many output tokens fits; what has no price fits nowhere."""
        amount = self.amount(output, unit)
        return amount is not None and amount <= room


@dataclass(frozen=True, slots=True)
class Grant:
    """The call may start with this limit. `shrunk_by` is the scope that has no room for more."""

    max_output_tokens: int
    shrunk_by: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The call may not start yet: what others hold in `scope` can make it fit when it is released."""

    scope: str


@dataclass(frozen=True, slots=True)
class Open:
    """The call does not fit and nothing will make it fit. `needed` is the least it would take."""

    balance: Balance
    needed: int


def decide(need: Need, balances: Sequence[Balance]) -> Grant | Hold | Open:
    """Say whether a call may start in all these scopes at once: in full, later, shrunken, or not at all."""
    lacking = [balance for balance in balances if not need.fits(need.max_output_tokens, balance.unit, balance.room)]
    if not lacking:
        return Grant(need.max_output_tokens)
    held = [balance for balance in lacking if balance.held]
    if held and all(need.fits(need.least_output, balance.unit, balance.room + balance.held) for balance in lacking):
        return Hold(held[0].name)
    tightest = min(lacking, key=lambda balance: most_output(need, balance))
    output = most_output(need, tightest)
    if output >= need.least_output:
        return Grant(output, shrunk_by=tightest.name)
    hopeless = min(lacking, key=lambda balance: most_output(need, replace(balance, held=0)))
    return Open(hopeless, need.amount(need.least_output, hopeless.unit) or 0)


def most_output(need: Need, balance: Balance) -> int:
    """Return the most output tokens up to what is wanted that fit into the scope, -1 when not even none do."""
    fitting, too_many = -1, need.max_output_tokens + 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if need.fits(middle, balance.unit, balance.room):
            fitting = middle
        else:
            too_many = middle
    return fitting


def input_bound(request_bytes: int, *, previous: Usage | None = None, appended_bytes: int = 0) -> int:
    """Return how many input tokens a request can have at most.

    A token is at least one byte of UTF-8. A request that only extends the call before it in its attempt, on the
    same model, is also bounded by what that call reported (`previous`) and the bytes appended since.
    """
    bound = request_bytes + FRAMING
    if previous is None or not is_plausible(previous) or previous.source != "reported":
        return bound
    return min(bound, previous.input + previous.output + appended_bytes + FRAMING)


def counted_bound(bound: int, count: int | None, reported: int = 0) -> int:
    """Return how many input tokens a request can have at most when its vendor counted so many; absurd ones say nothing.

    `reported` is the input of the call it extends: a count below that is contradicted by the vendor's own report.

    What a vendor adds to a request need not be in its count: Google's leaves out how tools are put, Anthropic calls
    its own an estimate. So a count is trusted as far as a report is, up to the same framing.
    """
    return bound if count is None or count <= 0 else min(bound, max(count, reported) + FRAMING)


def is_plausible(usage: Usage) -> bool:
    """Say whether a vendor's figures can be charged as they are; missing or absurd ones cannot."""
    counts = (usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
    cached = usage.cache_read + usage.cache_write
    return usage.source != "reserved" and min(counts) >= 0 and usage.input > 0 and cached <= usage.input


def crosses_warning(balance: Balance) -> bool:
    """Say whether 80 % of a scope is spent or held."""
    return (balance.spent + balance.held) * 5 >= balance.cap * 4


def micro_usd(usd: Decimal) -> int:
    """Return an amount in micro-USD, rounded up."""
    return int((usd * _MICRO).to_integral_value(rounding=ROUND_CEILING))


def usd_text(micro: int) -> str:
    """Return an amount of micro-USD as a decimal string in USD."""
    return f"{Decimal(micro) / _MICRO:f}"


def run_scope(run_id: str, unit: Unit, stage: str | None = None) -> str:
    """Return the name of a run's scope, or of a stage's share of it."""
    middle = f"/{stage}" if stage else ""
    return f"run/{run_id}{middle}/{'tokens' if unit == 'tokens' else 'cost'}"


def charges(scope: str, run_id: str, stage: str) -> bool:
    """Say whether a call of a run's stage is charged to a scope: not to another stage's share."""
    parts = scope.split("/")
    return parts[:2] != ["run", run_id] or len(parts) != 4 or parts[2] == stage


def config_key(scope: str) -> str:
    """Return the configuration key that sets a scope's cap."""
    parts = scope.split("/")
    return f"limits.{parts[-1]}" if len(parts) == 3 else f"stages.{parts[2]}.{parts[-1]}"
