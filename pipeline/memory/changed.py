"""Wake whoever waits for something to change, in this process and in the others that use the database."""

from collections.abc import Awaitable, Callable

import anyio

from pipeline.memory.doorbell import Doorbell


class Changed:
    """Announcements for the tasks of one event loop. Nothing is missed between looking and waiting without an await."""

    def __init__(self, bell: Doorbell) -> None:
        self._waiting: set[anyio.Event] = set()
        self._bell = bell
        self._at_the_bell = anyio.Lock()

    def announce(self) -> None:
        """Wake everybody who waits now."""
        self._wake()
        self._bell.ring()

    async def wait(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Return at the next announcement, or after so many seconds of `sleep`.

        The first wait only begins to listen to other processes and returns at once: what they announced between
        the caller's look and this moment would be missed.
        """
        if self._bell.listen():
            return
        event = anyio.Event()
        self._waiting.add(event)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_set_after, event, seconds, sleep)
                tasks.start_soon(self._listen)
                await event.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._waiting.discard(event)

    async def _listen(self) -> None:
        """Wake everybody when it rings. One waiter at a time stands at the bell; one that leaves hands over."""
        if self._bell.number is None:
            return
        async with self._at_the_bell:
            await anyio.wait_readable(self._bell.number)
            self._bell.quieten()
            self._wake()

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()


async def _set_after(event: anyio.Event, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
    await sleep(seconds)
    event.set()
