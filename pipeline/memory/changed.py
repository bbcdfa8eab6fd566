"""Wake whoever waits for something to change: at once in this process, by looking again for other processes."""

from collections.abc import Awaitable, Callable

import anyio


class Changed:
    """Announcements for the tasks of one event loop. Nothing is missed between looking and waiting without an await."""

    def __init__(self) -> None:
        self._waiting: set[anyio.Event] = set()

    def announce(self) -> None:
        """Wake everybody who waits now."""
        for event in self._waiting:
            event.set()

    async def wait(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Return at the next announcement, or after so many seconds of `sleep`."""
        event = anyio.Event()
        self._waiting.add(event)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_set_after, event, seconds, sleep)
                await event.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._waiting.discard(event)


async def _set_after(event: anyio.Event, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
    await sleep(seconds)
    event.set()
