"""Runs one program in a session of its own, hands over its lines as they come, and leaves nothing of it behind.

Its whole process group is ended (asked first, then killed) on whatever ends the call: a cancellation, a time limit, a
listener that has heard enough, or its own exit, after which nothing it started may live on.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

POLITE_SECONDS = 1.0  # between asking the group to end and killing it
MOST_OUTPUT = 64 << 20  # bytes of one stream; a reply is some thousand times smaller


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and where. The program sees nothing but this environment."""

    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Listener:
    """Told each line as it comes. Answering True ends the program; what it still says after that is told as well."""

    said: Callable[[str], bool]
    complained: Callable[[str], bool]


class NotRunnableError(OSError):
    """The program cannot be started."""


class FloodError(Exception):
    """The program says more than any reply can hold."""


async def run(command: Command, listener: Listener, *, seconds: float) -> int | None:
    """Return the program's exit code, negative for a signal; None where we ended it.

    :raises NotRunnableError: it cannot be started.
    :raises FloodError: it does not stop talking.
    :raises TimeoutError: it took longer than `seconds`.
    """
    enough = anyio.Event()
    flooded: list[str] = []
    with anyio.fail_after(seconds):
        async with _started(command) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, process.stdin, command.stdin)
                group.start_soon(_end_when, enough, process)
                async with anyio.create_task_group() as readers:
                    readers.start_soon(_listen, process.stdout, listener.said, enough, flooded)
                    readers.start_soon(_listen, process.stderr, listener.complained, enough, flooded)
                    await process.wait()
                    # Something it started may still hold the pipes open: the program's word is over with its life.
                    _signal(process, signal.SIGKILL)
                group.cancel_scope.cancel()
    if flooded:
        raise FloodError(flooded[0])
    return None if enough.is_set() else process.returncode


@asynccontextmanager
async def _started(command: Command) -> AsyncIterator[Process]:
    """Start the program; whatever happens then, its group is gone afterwards."""
    with anyio.CancelScope(shield=True):  # between its start and our knowing of it nobody else would end it
        try:
            process = await anyio.open_process(
                list(command.arguments),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=command.folder,
                env=command.environ,
                start_new_session=True,
            )
        except OSError as error:
            raise NotRunnableError(f"{command.arguments[0]} cannot be run: {error.strerror or error}") from error
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
            await process.aclose()


async def _end(process: Process) -> None:
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with anyio.move_on_after(POLITE_SECONDS):
            await process.wait()
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so with the second one
        os.killpg(process.pid, number)


async def _end_when(enough: anyio.Event, process: Process) -> None:
    """Kill at once, without asking: whoever has heard enough wants no further call to be paid."""
    await enough.wait()
    _signal(process, signal.SIGKILL)


async def _feed(stream: ByteSendStream, content: bytes) -> None:
    try:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await stream.send(content)  # it may not want to read all of it; what it says tells why
    finally:
        with anyio.CancelScope(shield=True):
            await stream.aclose()


async def _listen(
    stream: ByteReceiveStream, told: Callable[[str], bool], enough: anyio.Event, flooded: list[str]
) -> None:
    rest, total = b"", 0
    async for chunk in stream:
        total += len(chunk)
        if total > MOST_OUTPUT:
            flooded.append(f"more than {MOST_OUTPUT >> 20} MiB of output")
            enough.set()
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if told(line.decode(errors="replace")):
                enough.set()
    if rest and told(rest.decode(errors="replace")):
        enough.set()
