from datetime import date

import pytest

from moorings import money
from moorings.rates import monthly_rate
from moorings.statement import statement


@pytest.mark.parametrize(("cents", "shown"), [(5, "0.05"), (123_450, "1,234.50"), (-990, "-9.90")])
def test_amounts_are_shown_with_two_decimals(cents, shown):
    assert money.text(cents) == shown


def test_boats_over_twelve_metres_pay_a_surcharge():
    assert monthly_rate(12.0) == 19_000
    assert monthly_rate(14.0) == 25_800


def test_a_boat_without_length_has_no_rate():
    with pytest.raises(ValueError, match="0 m"):
        monthly_rate(0)


def test_a_statement_lists_each_charge_and_the_total():
    assert statement(date(2026, 3, 15), 8.0, 2).splitlines() == [
        "2026-03-15        140.00",
        "2026-04-15        140.00",
        "total             280.00",
    ]
