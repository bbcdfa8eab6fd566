"""Processes that share a database wake each other, whatever became of some of them."""

import multiprocessing
import os
import resource
import select
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import anyio
import anyio.lowlevel
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


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _forever(_: float) -> None:
    await anyio.sleep_forever()


async def _not_at_all(_: float) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_waiter_hears_what_another_process_announces(tmp_path: Path) -> None:
    bell = Doorbell(tmp_path)
    here, there = Changed(bell), Changed(Doorbell(tmp_path))
    await here.wait(PATIENCE, _forever)  # the first only begins to listen: the caller looks again
    there.announce()  # between that look and the wait
    with anyio.fail_after(PATIENCE):
        await here.wait(PATIENCE, _forever)
    bell.close()


@pytest.mark.anyio
async def test_all_waiters_of_a_process_hear_one_ring(tmp_path: Path) -> None:
    bell, heard = Doorbell(tmp_path), []
    here, there = Changed(bell), Changed(Doorbell(tmp_path))
    await here.wait(PATIENCE, _forever)

    async def wait(name: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        await here.wait(PATIENCE, sleep)
        heard.append(name)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for name, sleep in (("hasty", _not_at_all), ("one", _forever), ("two", _forever)):
                tasks.start_soon(wait, name, sleep)
            await anyio.wait_all_tasks_blocked()
            assert heard == ["hasty"], "it stood at the bell and left"
            there.announce()
    assert sorted(heard) == ["hasty", "one", "two"]
    bell.close()


def test_a_process_without_descriptors_left_rings_nobody_and_goes_on(tmp_path: Path) -> None:
    listening, ringing = Doorbell(tmp_path), Doorbell(tmp_path)
    assert listening.listen()
    with no_descriptor_left():
        ringing.ring()
        assert not ringing.listen()
    ringing.ring()
    assert listening.number is not None
    assert select.select([listening.number], [], [], 0)[0], "the control: it rings otherwise"
    listening.close()
