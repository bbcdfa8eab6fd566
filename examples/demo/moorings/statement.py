"""A member's statement: every charge with its date, and the total."""

from datetime import date

from moorings import money
from moorings.rates import monthly_rate
from moorings.schedule import charge_dates


def statement(joined: date, length_metres: float, months: int) -> str:
    """Return the statement of a member's first `months` charges, one line each, and the total."""
    rate = monthly_rate(length_metres)
    lines = [f"{day.isoformat()}  {money.text(rate):>12}" for day in charge_dates(joined, months)]
    lines.append(f"{'total':<10}  {money.text(rate * months):>12}")
    return "\n".join(lines)
