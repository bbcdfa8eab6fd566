"""What the kernel killed for memory is counted under either version of cgroups."""

from pathlib import Path

import pytest

from sandbox.agent import oom_kills

VERSION_1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
VERSION_2 = "low 0\nhigh 0\nmax 214\noom 5\noom_kill 4\noom_group_kill 0\n"


@pytest.mark.parametrize(
    ("second", "first", "count"),
    [
        pytest.param(VERSION_2, None, 4, id="version 2"),
        pytest.param(None, VERSION_1, 3, id="version 1"),
        pytest.param(None, None, 0, id="neither is shown"),
        pytest.param("oom_kill many\n", VERSION_1, 3, id="one that cannot be read"),
        pytest.param(None, "oom_kill_disable 0\nunder_oom 0\n", 0, id="a kernel that does not count"),
    ],
)
def test_the_counter_is_read(tmp_path: Path, second: str | None, first: str | None, count: int) -> None:
    places = tmp_path / "memory.events", tmp_path / "memory" / "memory.oom_control"
    places[1].parent.mkdir()
    for place, text in zip(places, (second, first), strict=True):
        if text is not None:
            place.write_text(text)
    assert oom_kills((str(places[0]), str(places[1]))) == count
