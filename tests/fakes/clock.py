"""A clock that stands still until somebody sleeps or it is moved."""

from collections.abc import Callable

import anyio.lowlevel

START = 1_763_632_800.0  # 2025-11-20 10:00:00 UTC


class FakeClock:
    """Call it for the time in seconds; `sleep` passes time at once and remembers how long was asked for."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()


class FakeDeadline:
    """An attempt's deadline on a fake clock. `extended` is by how much it was moved."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.extended = 0.0

    def remaining(self) -> float:
        return self._end - self._clock()

    def extend(self, seconds: float) -> None:
        self._end += seconds
        self.extended += seconds
