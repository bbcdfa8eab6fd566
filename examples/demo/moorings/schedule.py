"""When a member is charged."""

from datetime import date


def next_charge(previous: date) -> date:
    """Return the charge date one month after `previous`."""
    year, month = divmod(previous.year * 12 + previous.month, 12)
    return date(year, month + 1, previous.day)


def charge_dates(joined: date, charges: int) -> list[date]:
    """Return the dates of the first `charges` charges of a member who joined on `joined`."""
    dates = [joined]
    while len(dates) < charges:
        dates.append(next_charge(dates[-1]))
    return dates[:charges]
