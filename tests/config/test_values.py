"""Numbers, durations and sizes mean one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.keypath import join, split
from pipeline.config.scalars import duration, integer, number, pitfall, show_duration, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("300s", 300), ("20m", 1200), ("2h", 7200), ("1_000", 1000), ("1.5h", 5400), ("0.5", 0.5)],
)  # fmt: skip
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["2 days", "1d", "1h30m", "m", "", "1,5h", "ten", "1e3", "20M"])
def test_anything_else_is_no_duration(text: str) -> None:
    assert duration(text) is None


@pytest.mark.parametrize(
    ("text", "size_in_bytes"),
    [("4g", 4 << 30), ("512m", 512 << 20), ("1.5g", 3 << 29), ("1_024", 1024), ("4GiB", 4 << 30), ("64kb", 64 << 10)],
)  # fmt: skip
def test_a_size_is_bytes(text: str, size_in_bytes: int) -> None:
    assert size(text) == size_in_bytes


@pytest.mark.parametrize("text", ["-1g", "g", "4 gigs", "", "4x", "inf"])
def test_anything_else_is_no_size(text: str) -> None:
    assert size(text) is None


@given(st.integers(min_value=1, max_value=10**8))
def test_a_shown_duration_is_read_back(seconds: int) -> None:
    assert duration(show_duration(seconds)) == seconds


@given(st.floats(min_value=0.001, max_value=10**6, allow_nan=False))
def test_a_shown_fraction_of_seconds_is_read_back(seconds: float) -> None:
    assert duration(show_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(min_value=-(10**20), max_value=10**20))
def test_underscores_do_not_change_a_number(value: int) -> None:
    assert integer(f"{value:_}") == value == integer(str(value))
    assert number(f"{value:_}") == value


@pytest.mark.parametrize("text", ["1:30", "20:00", "1:00:00", "010", "0o17", "-012", "0_7"])
def test_numbers_that_readers_disagree_about_are_seen(text: str) -> None:
    assert pitfall(text) is not None


@pytest.mark.parametrize("text", ["0", "10", "0.5", "1_000", "debian:12", "1:99", "v010"])
def test_other_words_are_no_pitfall(text: str) -> None:
    assert pitfall(text) is None


@given(st.lists(st.text(min_size=1), min_size=1), st.text())
def test_a_key_path_is_split_into_what_it_was_joined_from(parts: list[str], value: str) -> None:
    assert split(join(parts) + "=" + value) == (parts, "=" + value)
