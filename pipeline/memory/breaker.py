"""Trip, warn and explain the breaker: its events and its error, in the transaction that found the reason."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy.engine import Connection

from pipeline.errors import BudgetOpenError
from pipeline.events import BreakerOpened, BreakerWarned
from pipeline.memory import scopes
from pipeline.memory.budget import Balance, Unit, config_key, crosses_warning, usd_text
from pipeline.memory.journal import Journal

OpenReason = Literal["no_room", "overrun", "cut_at_shrunken_limit"]


def trip(connection: Connection, journal: Journal, balance: Balance, reason: OpenReason, needed: int = 0) -> None:
    """Let a scope take no further call, and say so."""
    scopes.mark_open(connection, balance.name, reason)
    event = BreakerOpened(
        scope=balance.name,
        reason=reason,
        spent=balance.spent,
        held=balance.held,
        cap=balance.cap,
        needed=needed,
    )
    journal.append(event, connection)


def warn(connection: Connection, journal: Journal, balances: Sequence[Balance]) -> None:
    """Say once per scope that 80 % of it is spent or held."""
    for balance in balances:
        if balance.warned or not crosses_warning(balance):
            continue
        scopes.mark_warned(connection, balance.name)
        event = BreakerWarned(scope=balance.name, spent=balance.spent, held=balance.held, cap=balance.cap)
        journal.append(event, connection)


def with_held(balances: Sequence[Balance], amounts: dict[Unit, int]) -> list[Balance]:
    """Return balances after an amount was held in each."""
    return [replace(balance, held=balance.held + amounts[balance.unit]) for balance in balances]


def no_room(balance: Balance, stage: str, needed: int) -> BudgetOpenError:
    """Return the error for a call that does not fit."""
    return _error(balance, f"the next {stage} call needs at least {_shown(needed, balance.unit)}")


def cut(balance: Balance, stage: str, limit: int) -> BudgetOpenError:
    """Return the error for a reply that was cut at a limit which the breaker had shrunk."""
    return _error(balance, f"a reply of the {stage} was cut at the {limit:,} output tokens that were left")


def still_open(balance: Balance) -> BudgetOpenError:
    """Return the error for any call after the breaker opened."""
    why = {
        "no_room": "a call did not fit",
        "overrun": "a vendor reported more than was reserved",
        "cut_at_shrunken_limit": "a reply was cut at the output that was left",
    }
    return _error(balance, f"no call starts any more because {why.get(balance.opened or '', balance.opened)}")


def _error(balance: Balance, what: str) -> BudgetOpenError:
    room, cap = _shown(max(0, balance.room), balance.unit), _shown(balance.cap, balance.unit)
    spent, held = _shown(balance.spent, balance.unit), _shown(balance.held, balance.unit)
    return BudgetOpenError(
        f"the breaker is open: {balance.name} has {room} left of {cap} ({spent} spent, {held} held) and {what}; "
        f"raise {config_key(balance.name)} and resume the run",
        scope=balance.name,
    )


def _shown(amount: int, unit: Unit) -> str:
    return f"{amount:,} tokens" if unit == "tokens" else f"${usd_text(amount)}"
