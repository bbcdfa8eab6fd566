from datetime import date

from moorings.schedule import charge_dates, next_charge


def test_the_next_charge_is_on_the_same_day_of_the_next_month():
    assert next_charge(date(2026, 3, 15)) == date(2026, 4, 15)


def test_the_charge_after_december_is_in_january():
    assert next_charge(date(2026, 12, 5)) == date(2027, 1, 5)


def test_the_first_charge_is_on_the_day_a_member_joins():
    assert charge_dates(date(2026, 3, 15), 1) == [date(2026, 3, 15)]


def test_a_year_has_twelve_charges():
    dates = charge_dates(date(2026, 3, 15), 12)
    assert len(dates) == 12
    assert dates[-1] == date(2027, 2, 15)
