"""The rows of table `budget`: caps, what is held, what is spent, each changed in the caller's transaction."""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from pipeline.memory.budget import Balance, Scope, Unit
from pipeline.memory.database import BUDGET

Amounts = Mapping[Unit, int]


def balances(connection: Connection, names: Sequence[str]) -> list[Balance]:
    """Return these scopes as they stand, by name, locked against other writers until the transaction ends."""
    wanted = select(BUDGET).where(BUDGET.c.scope.in_(names)).order_by(BUDGET.c.scope).with_for_update()
    return [
        Balance(row.scope, row.unit, row.cap, row.held, row.spent, row.opened, row.warned)
        for row in connection.execute(wanted)
    ]


def set_cap(connection: Connection, scope: Scope) -> bool:
    """Insert a scope or change its cap, never below what is spent and held; say whether it was raised."""
    known = balances(connection, [scope.name])
    if not known:
        connection.execute(insert(BUDGET).values(scope=scope.name, unit=scope.unit, cap=scope.cap))
        return False
    (before,) = known
    cap = max(scope.cap, min(before.cap, before.spent + before.held))
    changed = update(BUDGET).where(BUDGET.c.scope == scope.name).values(cap=cap)
    connection.execute(changed.values(warned=False) if cap > before.cap else changed)
    return cap > before.cap


def hold(connection: Connection, names: Sequence[str], amounts: Amounts) -> None:
    """Hold an amount in every scope. The statement itself refuses what does not fit.

    :raises AssertionError: it does not fit; the caller decided on balances it had locked.
    """
    for unit, amount in amounts.items():
        scopes = BUDGET.c.scope.in_(names) & (BUDGET.c.unit == unit)
        fits = BUDGET.c.spent + BUDGET.c.held + amount <= BUDGET.c.cap
        wanted = set(connection.execute(select(BUDGET.c.scope).where(scopes)).scalars())
        held = update(BUDGET).where(scopes, fits).values(held=BUDGET.c.held + amount).returning(BUDGET.c.scope)
        assert set(connection.execute(held).scalars()) == wanted, "a reservation must fit in all its scopes"


def settle(connection: Connection, names: Sequence[str], held: Amounts, spent: Amounts) -> None:
    """Let go of what was held and charge what was spent."""
    for unit in held.keys() | spent.keys():
        scopes = BUDGET.c.scope.in_(names) & (BUDGET.c.unit == unit)
        now_held = BUDGET.c.held - held.get(unit, 0)
        now_spent = BUDGET.c.spent + spent.get(unit, 0)
        connection.execute(update(BUDGET).where(scopes).values(held=now_held, spent=now_spent))


def mark_open(connection: Connection, name: str, reason: str) -> None:
    """Let a scope take no further call until a cap is raised."""
    connection.execute(update(BUDGET).where(BUDGET.c.scope == name).values(opened=reason))


def mark_warned(connection: Connection, name: str) -> None:
    """Remember that the warning about a scope was given."""
    connection.execute(update(BUDGET).where(BUDGET.c.scope == name).values(warned=True))


def close(connection: Connection, names: Sequence[str]) -> None:
    """Let these scopes take calls again, as far as they have room."""
    connection.execute(update(BUDGET).where(BUDGET.c.scope.in_(names)).values(opened=None))
