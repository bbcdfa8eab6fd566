"""Open a sandbox for a purpose of the run, journal its life, and rebuild it when it is lost."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any, TypeVar

from anyio import create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup

from pipeline.errors import InfrastructureError
from pipeline.events import Passage, SandboxEnded, SandboxLost, SandboxStarted
from pipeline.running.hosting import HostedSandbox, host
from pipeline.running.run import Run
from sandbox.base import (
    EMPTY,
    KEEP_BYTES,
    ExecResult,
    FileMode,
    FileState,
    Sandbox,
    SandboxLostError,
    SandboxUnavailableError,
    Snapshot,
)
from sandbox.egress_log import EgressLog
from sandbox.placement import Placement

T = TypeVar("T")
# An engine that restarts is back within seconds; one that is not is an infrastructure failure.
ENGINE_RETURN_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.5


class SandboxLostTwiceError(Exception):
    """The sandbox was lost twice at the same call, so the attempt cannot be used."""


class Workspace:
    """A metered sandbox: the same Protocol, journaled, and rebuilt when it is lost.

    It is rebuilt as it was at the last `checkpoint`, the end of a tool call. A call that was the first since then is
    made again here; of any later one only the whole tool call can be made again, so the loss is its caller's to see.
    """

    def __init__(self, run: Run, purpose: str, start: Snapshot, tasks: TaskGroup) -> None:
        self._run = run
        self._tasks = tasks
        self._purpose = purpose
        self._known = self._safe = start
        self._opened = False
        self._calls_since = self._losses_since = 0
        self._hosted: HostedSandbox | None = None

    @property
    def known(self) -> Snapshot:
        """Return the last tree that was seen."""
        return self._known

    def checkpoint(self) -> None:
        """Note that a tool call is over: what is known of the tree now is what a lost sandbox is rebuilt from."""
        self._safe = self._known
        self._calls_since = self._losses_since = 0

    async def open(self) -> None:
        """Have the container ready before the first call, so that no call's clock pays for it."""
        await self._call(_nothing, counts=False)

    async def _start(self) -> Sandbox:
        begun = self._run.seams.clock()
        opened = self._run.seams.backend.open(self._run.environment, self._run.base)
        self._hosted = await self._tasks.start(host, opened)
        box = self._hosted.box
        self._run.journal.append(
            SandboxStarted(
                container=_name(box),
                image=self._run.environment.image,
                purpose=self._purpose,
                seconds=round(self._run.seams.clock() - begun, 3),
                **_place(box),
            )
        )
        self._known = self._safe
        if self._known.files:
            await box.restore(self._known)
        return box

    async def _restart(self) -> Sandbox:
        """Start again after a loss; an engine that is being restarted is waited for."""
        until = self._run.seams.clock() + ENGINE_RETURN_SECONDS
        while True:
            try:
                return await self._start()
            except SandboxUnavailableError:
                if self._run.seams.clock() >= until:
                    raise
                await self._run.seams.sleep(LOOK_AGAIN_SECONDS)

    async def _box(self) -> Sandbox:
        if self._hosted is not None:
            return self._hosted.box
        return await (self._restart() if self._losses_since else self._start())

    async def close(self) -> None:
        """Remove the container."""
        hosted, self._hosted = self._hosted, None
        if hosted is not None:
            self._run.journal.append(_ended(hosted.box, self._purpose))
            await hosted.end()

    async def _call(self, action: Callable[[Sandbox], Awaitable[T]], *, counts: bool = True) -> T:
        """Carry out one call; a lost sandbox is rebuilt once between two checkpoints."""
        while True:
            try:
                result = await action(await self._box())
            except SandboxLostError as error:
                await self._lost(error)
            else:
                self._opened = True
                self._calls_since += counts
                return result

    async def _lost(self, error: SandboxLostError) -> None:
        """Journal the loss; return when the call that met it may be made again."""
        container = _name(self._hosted.box) if self._hosted else ""
        self._run.journal.append(SandboxLost(container=container, purpose=self._purpose, reason=str(error)))
        self._losses_since += 1
        # An engine that is down cannot remove what is left of it; the container has ended by itself.
        with suppress(SandboxUnavailableError):
            await self.close()
        if self._losses_since > 1 and not self._opened:
            raise InfrastructureError(f"the sandbox was lost twice before its first call: {error}") from error
        if self._losses_since > 1:
            raise SandboxLostTwiceError(str(error)) from error
        if self._calls_since:
            self._calls_since = 0
            raise error

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the limit is enforced inside the sandbox
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> ExecResult:
        """Run a command; see `sandbox.base.Sandbox`."""
        return await self._call(
            lambda box: box.exec(
                argv, timeout=timeout, stdin=stdin, env=env, merge_output=merge_output, keep_bytes=keep_bytes
            )
        )

    async def read(self, path: str, *, limit: int) -> bytes:
        """Return a file's bytes."""
        return await self._call(lambda box: box.read(path, limit=limit))

    async def write(self, path: str, content: bytes) -> None:
        """Replace or create a file."""
        await self._call(lambda box: box.write(path, content))
        self._known = Snapshot({**self._known.files, path: FileState(self._mode(path), content)})

    def _mode(self, path: str) -> FileMode:
        """Return the mode a written file keeps."""
        before = self._known.files.get(path)
        if path in self._known.files:
            return before.mode if before else "100644"
        return "100755" if self._run.base.entries.get(path, ("", ""))[0] == "100755" else "100644"

    async def snapshot(self) -> Snapshot:
        """Return what differs from base, and remember it as the tree to rebuild from."""
        self._known = await self._call(lambda box: box.snapshot())
        return self._known

    async def restore(self, snapshot: Snapshot) -> None:
        """Put a tree in place."""
        await self._call(lambda box: box.restore(snapshot))
        self._known = snapshot


async def _nothing(box: Sandbox) -> None:
    """Ask nothing of a sandbox that only has to be there."""


def _ended(box: Sandbox, purpose: str) -> SandboxEnded:
    log = getattr(box, "egress", None)
    rows = log.passages() if isinstance(log, EgressLog) else ()
    return SandboxEnded(
        container=_name(box), purpose=purpose, egress=tuple(Passage.model_validate(asdict(row)) for row in rows)
    )


def _place(box: Sandbox) -> dict[str, Any]:
    place = getattr(box, "placement", None)
    return {"work_tree": place.where, "work_tree_reason": place.reason} if isinstance(place, Placement) else {}


def _name(box: Sandbox) -> str:
    return str(getattr(box, "container_id", ""))[:12]


@asynccontextmanager
async def open_workspace(run: Run, purpose: str, start: Snapshot) -> AsyncIterator[Workspace]:
    """Yield a sandbox at base plus `start`; its container is gone afterwards."""
    failure: BaseException | None = None
    async with create_task_group() as tasks:
        workspace = Workspace(run, purpose, start, tasks)
        try:
            await workspace.open()
            yield workspace
        except get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the group that would wrap it
            failure = error
        finally:
            await workspace.close()
    if failure is not None:
        raise failure
