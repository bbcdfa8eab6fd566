"""Where a work tree lives follows from sizes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.placement import MEMORY_LEFT, MOST_FILES, on_disk, place_work_tree

MIB, GIB = 1 << 20, 1 << 30
LARGE = st.integers(0, 1 << 44)


@pytest.mark.parametrize(
    ("tree", "files", "disk", "memory", "where", "reason"),
    [
        pytest.param(0, 0, 2 * GIB, 4 * GIB, "memory", "0 MiB of 2 GiB", id="nothing"),
        pytest.param(12 * MIB, 2_000, 2 * GIB, 4 * GIB, "memory", "12 MiB of 2 GiB", id="100,000 lines"),
        pytest.param(GIB, 30_000, 2 * GIB, 4 * GIB, "memory", "1 GiB of 2 GiB", id="half of disk"),
        pytest.param(GIB + 1, 30_000, 2 * GIB, 4 * GIB, "disk", "more than half of sandbox.disk", id="over half"),
        pytest.param(9 * GIB, 30_000, 2 * GIB, 4 * GIB, "disk", "the tree (9 GiB)", id="larger than disk"),
        pytest.param(0, 0, 20 * GIB, 4 * GIB, "disk", "sandbox.disk (20 GiB) + 1 GiB is more", id="a large disk"),
        pytest.param(0, 0, 3 * GIB, 4 * GIB, "memory", "", id="exactly 1 GiB to spare"),
        pytest.param(0, 0, 3 * GIB + 1, 4 * GIB, "disk", "than sandbox.memory (4 GiB)", id="a byte less to spare"),
        pytest.param(MIB, MOST_FILES, 2 * GIB, 4 * GIB, "memory", "", id="many files"),
        pytest.param(MIB, MOST_FILES + 1, 2 * GIB, 4 * GIB, "disk", "200,001 files", id="too many files"),
    ],
)
def test_the_place_follows_from_the_sizes(
    tree: int, files: int, disk: int, memory: int, where: str, reason: str
) -> None:
    place = place_work_tree(tree, files, disk=disk, memory=memory)
    assert place.where == where
    assert reason in place.reason


@given(tree=LARGE, files=st.integers(0, 10**7), disk=LARGE, memory=LARGE)
def test_a_tree_always_fits_where_it_is_put(tree: int, files: int, disk: int, memory: int) -> None:
    place = place_work_tree(tree, files, disk=disk, memory=memory)
    assert place.limit >= tree
    if place.where == "memory":
        assert place.limit + MEMORY_LEFT <= memory
        assert 2 * tree <= place.limit
    else:
        assert place.limit - tree == disk


@given(size=LARGE)
def test_a_file_takes_whole_blocks(size: int) -> None:
    assert 0 <= on_disk(size) - size < 4096
    assert on_disk(size) % 4096 == 0
