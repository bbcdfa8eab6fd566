"""Open a sandbox for a purpose of the run, journal its life, and rebuild it once when it is lost."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from pipeline.errors import InfrastructureError
from pipeline.events import SandboxEnded, SandboxLost, SandboxStarted
from pipeline.run import Run
from sandbox.base import EMPTY, KEEP_BYTES, ExecResult, FileState, Sandbox, SandboxLostError, Snapshot

T = TypeVar("T")


class SandboxLostTwiceError(Exception):
    """The sandbox was lost twice at the same call, so the attempt cannot be used."""


class Workspace:
    """A metered sandbox: the same Protocol, journaled, and rebuilt from its last known tree when it is lost."""

    def __init__(self, run: Run, purpose: str, start: Snapshot) -> None:
        self._run = run
        self._purpose = purpose
        self._known = start
        self._opened = False
        self._stack = AsyncExitStack()
        self._box: Sandbox | None = None

    @property
    def known(self) -> Snapshot:
        """Return the last tree that was seen."""
        return self._known

    async def open(self) -> None:
        """Have the container ready before the first call, so that no call's clock pays for it."""
        await self._call(_nothing)

    async def _start(self) -> Sandbox:
        begun = self._run.seams.clock()
        box = await self._stack.enter_async_context(self._run.seams.backend.open(self._run.environment, self._run.base))
        self._stack.callback(self._ended, _name(box))
        self._run.journal.append(
            SandboxStarted(
                container=_name(box),
                image=self._run.environment.image,
                purpose=self._purpose,
                seconds=round(self._run.seams.clock() - begun, 3),
            )
        )
        if self._known.files:
            await box.restore(self._known)
        return box

    def _ended(self, container: str) -> None:
        self._run.journal.append(SandboxEnded(container=container, purpose=self._purpose))

    async def close(self) -> None:
        """Remove the container."""
        self._box = None
        await self._stack.aclose()

    async def _call(self, action: Callable[[Sandbox], Awaitable[T]]) -> T:
        """Carry out one call; a lost sandbox is rebuilt once, and twice at one call is the end of the attempt."""
        for last_try in (False, True):
            try:
                self._box = self._box or await self._start()
                result = await action(self._box)
            except SandboxLostError as error:
                await self._lost(error, last_try=last_try)
            else:
                self._opened = True
                return result
        raise AssertionError("the second loss raises")

    async def _lost(self, error: SandboxLostError, *, last_try: bool) -> None:
        container = _name(self._box) if self._box else ""
        self._run.journal.append(SandboxLost(container=container, purpose=self._purpose, reason=str(error)))
        self._box = None
        await self._stack.aclose()
        if not last_try:
            return
        if not self._opened:
            raise InfrastructureError(f"the sandbox was lost twice before its first call: {error}") from error
        raise SandboxLostTwiceError(str(error)) from error

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
        before = self._known.files.get(path)
        self._known = Snapshot({**self._known.files, path: FileState(before.mode if before else "100644", content)})

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


def _name(box: Sandbox | None) -> str:
    return str(getattr(box, "container_id", ""))[:12]


@asynccontextmanager
async def open_workspace(run: Run, purpose: str, start: Snapshot) -> AsyncIterator[Workspace]:
    """Yield a sandbox at base plus `start`; its container is gone afterwards."""
    workspace = Workspace(run, purpose, start)
    try:
        await workspace.open()
        yield workspace
    finally:
        await workspace.close()
