"""A sandbox that passes everything on, so that a test can change or watch one thing."""

from collections.abc import Sequence
from typing import Any

from sandbox.base import ExecResult, Sandbox, Snapshot


class Relay:
    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner

    async def exec(self, argv: Sequence[str], **options: Any) -> ExecResult:
        return await self.inner.exec(argv, **options)

    async def read(self, path: str, *, limit: int) -> bytes:
        return await self.inner.read(path, limit=limit)

    async def write(self, path: str, content: bytes) -> None:
        await self.inner.write(path, content)

    async def snapshot(self) -> Snapshot:
        return await self.inner.snapshot()

    async def restore(self, snapshot: Snapshot) -> None:
        await self.inner.restore(snapshot)
