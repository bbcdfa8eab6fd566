"""Processes that share a database wake each other, whatever became of some of them."""

import multiprocessing
import os
import select
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import anyio
import pytest

from pipeline.memory.changed import Changed
from pipeline.memory.doorbell import Doorbell

SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 60.0


def _listens(folder: str, ready: Event, rung: Event) -> None:
    bell = Doorbell(Path(folder))
    assert bell.listen()
    ready.set()
    assert bell.number is not None
    if select.select([bell.number], [], [], PATIENCE)[0]:
        rung.set()
    bell.close()


@pytest.mark.parametrize("deep", [1, 40], ids=["short path", "path longer than a socket's name may be"])
def test_a_ring_reaches_another_process(deep: int, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["bells"] * deep)
    ready, rung = SPAWN.Event(), SPAWN.Event()
    other = SPAWN.Process(target=_listens, args=(str(folder), ready, rung))
    other.start()
    assert ready.wait(PATIENCE)
    Doorbell(folder).ring()
    other.join(PATIENCE)
    assert rung.is_set()
    assert list(folder.iterdir()) == []


def test_the_bell_of_a_killed_process_is_taken_down_by_the_next_ring(tmp_path: Path) -> None:
    ready, rung = SPAWN.Event(), SPAWN.Event()
    other = SPAWN.Process(target=_listens, args=(str(tmp_path), ready, rung))
    other.start()
    assert ready.wait(PATIENCE)
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    other.join(PATIENCE)
    assert len(list(tmp_path.iterdir())) == 1
    Doorbell(tmp_path).ring()
    assert list(tmp_path.iterdir()) == []


def test_many_rings_are_one_and_nobody_waits_for_a_full_bell(tmp_path: Path) -> None:
    listening, ringing = Doorbell(tmp_path), Doorbell(tmp_path)
    assert listening.listen()
    for _ in range(5_000):
        ringing.ring()
    assert listening.number is not None
    assert select.select([listening.number], [], [], 0)[0]
    listening.quieten()
    assert not select.select([listening.number], [], [], 0)[0]
    listening.close()


def test_a_folder_that_cannot_hold_a_bell_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bell = Doorbell(tmp_path / "file" / "bells")
    assert not bell.listen()
    bell.ring()
    bell.close()


async def _forever(_: float) -> None:
    await anyio.sleep_forever()


@pytest.mark.anyio
async def test_a_waiter_hears_what_another_process_announces(tmp_path: Path) -> None:
    bell = Doorbell(tmp_path)
    here, there = Changed(bell), Changed(Doorbell(tmp_path))
    await here.wait(PATIENCE, _forever)  # the first only begins to listen: the caller looks again
    there.announce()  # between that look and the wait
    with anyio.fail_after(PATIENCE):
        await here.wait(PATIENCE, _forever)
    bell.close()
