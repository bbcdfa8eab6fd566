"""The loopback servers' caches hit and miss as the vendors' do: otherwise a cached share would mean nothing."""

from tests.loopback.tokens import LEAST, LOOKBACK, STEP, PrefixCache

LONG = "word " * 4_000  # 5,000 tokens


def test_what_is_cached_by_itself_is_found_in_whole_steps() -> None:
    cache = PrefixCache()
    assert cache.read_and_write("model", [LONG]) == (0, 39 * STEP)
    assert cache.read_and_write("model", [LONG, "and more"]) == (39 * STEP, 0)


def test_a_prefix_ends_at_the_first_other_byte() -> None:
    cache = PrefixCache()
    cache.read_and_write("model", [LONG])
    changed = LONG[:10_000] + "W" + LONG[10_001:]
    assert cache.read_and_write("model", [changed]) == (19 * STEP, 20 * STEP)
    assert cache.read_and_write("model", ["!" + LONG])[0] == 0


def test_the_order_of_names_on_the_wire_counts() -> None:
    cache = PrefixCache()
    cache.read_and_write("model", [{"a": LONG, "b": LONG}])
    assert cache.read_and_write("model", [{"b": LONG, "a": LONG}])[0] == 0


def test_short_prompts_and_other_places_are_not_found() -> None:
    cache = PrefixCache()
    short = "x" * (4 * LEAST - 1)
    assert [cache.read_and_write("model", [short]) for _ in range(2)] == [(0, 0), (0, 0)]
    cache.read_and_write("model", [LONG])
    assert cache.read_and_write("another", [LONG])[0] == 0


def test_with_breakpoints_only_what_ends_at_one_is_cached() -> None:
    cache = PrefixCache()
    unmarked, marked = (LONG, False), (LONG, True)
    assert cache.at_breakpoints("model", [unmarked, unmarked]) == (0, 0)
    assert cache.at_breakpoints("model", [marked, unmarked]) == (0, 5_000)
    assert cache.at_breakpoints("model", [marked, marked]) == (5_000, 5_000)
    assert cache.at_breakpoints("model", [unmarked, unmarked, marked]) == (10_000, 5_000)
    assert cache.at_breakpoints("model", [unmarked, unmarked]) == (0, 0), "nobody asked to read"


def test_a_breakpoint_looks_back_over_so_many_blocks_and_no_further() -> None:
    for between, found in ((LOOKBACK - 2, 5_000), (LOOKBACK - 1, 0)):
        cache = PrefixCache()
        cache.at_breakpoints("model", [(LONG, True)])
        blocks = [(LONG, False), *[("x", False)] * between, ("end", True)]
        assert cache.at_breakpoints("model", blocks)[0] == found
