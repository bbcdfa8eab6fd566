"""Keep a sandbox open in a task of its own, so that it can be given up and replaced inside anybody's time limit."""

from contextlib import AbstractAsyncContextManager

from anyio import CancelScope, Event
from anyio.abc import TaskStatus

from sandbox.base import Sandbox


class HostedSandbox:
    """An open sandbox, and the word that it is not needed any more."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.failure: Exception | None = None
        self.unneeded = Event()
        self.gone = Event()

    async def end(self) -> None:
        """Close the sandbox and return when it is gone; raises what closing it raised."""
        self.unneeded.set()
        with CancelScope(shield=True):
            await self.gone.wait()
        if self.failure is not None:
            raise self.failure


async def host(opened: AbstractAsyncContextManager[Sandbox], *, task_status: TaskStatus[HostedSandbox]) -> None:
    """Open a sandbox, hand it over, and close it when it is not needed any more.

    A start can be cancelled. Later a cancellation is not ours: its last tree may still be read.
    """
    hosted: HostedSandbox | None = None
    try:
        async with opened as box:
            hosted = HostedSandbox(box)
            task_status.started(hosted)
            with CancelScope(shield=True):
                await hosted.unneeded.wait()
    except Exception as error:  # whatever it is, it is raised where the sandbox was asked for or is given up
        if hosted is None:
            raise
        hosted.failure = error
    finally:
        if hosted is not None:
            hosted.gone.set()
