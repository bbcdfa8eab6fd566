"""The sandbox as its stages see it, spoken over a channel to the resident agent."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.base import EMPTY, KEEP_BYTES, BaseTree, ExecResult, FileState, SandboxError, SandboxPathError, Snapshot
from sandbox.channel import Channel, RefusedByAgentError
from sandbox.egress_log import EgressLog
from sandbox.frames import MAX_REPLY_PAYLOAD, Content, Done, Exited
from sandbox.placement import Placement
from sandbox.worktree import FileFacts, WorkTree, parse_facts

MOST_KEPT = MAX_REPLY_PAYLOAD // 2
# Small enough that neither the agent's memory nor the sign of life between two frames suffers from a huge input.
PIECE_BYTES = 8 << 20
REASONS = {
    "missing": "does not exist",
    "not_file": "is not a regular file",
    "outside": "leads out of the work tree",
    "no_space": "no space is left in the sandbox",
    "denied": "permission denied",
    "bad_name": "is not a relative path",
}


class ResidentSandbox:
    """A `Sandbox`, and the container its work tree needs."""

    def __init__(
        self,
        channel: Channel,
        container_id: str,
        base: BaseTree,
        *,
        carried: Sequence[str] = (),
        carried_from: str = "",
    ) -> None:
        self.container_id = container_id
        self.placement: Placement | None = None
        self.egress = EgressLog()
        self.variables: Mapping[str, str] = EMPTY  # for every command, unless it says otherwise
        self._channel = channel
        self._at_base = False
        self._tree = WorkTree(self, base, carried=carried, carried_from=carried_from)

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - enforced by the agent
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> ExecResult:
        """Run a command; see `Sandbox.exec`."""
        self._at_base = False
        header = {
            "op": "exec",
            "argv": list(argv),
            "timeout": timeout,
            "env": {**self.variables, **env},
            "merge": merge_output,
            "keep": max(0, min(keep_bytes, MOST_KEPT)),
        }
        try:
            exited, payload = await self._channel.call(Exited, header, *_in_pieces(stdin))
        except RefusedByAgentError as error:
            raise SandboxError(f"`{argv[0]}` could not be started: {error}") from error
        return ExecResult(
            exit_code=exited.exit_code,
            stdout=payload[: exited.out],
            stderr=payload[exited.out :],
            seconds=exited.seconds,
            timed_out=exited.timed_out,
            oom=exited.oom,
            stdout_bytes=exited.out_bytes,
            stderr_bytes=exited.err_bytes,
            stragglers=exited.stragglers,
            disk_full=exited.disk_full,
        )

    async def read(self, path: str, *, limit: int) -> bytes:
        """Return a file's exact bytes; see `Sandbox.read`."""
        return await self._content(path, limit, follow=True)

    async def write(self, path: str, content: bytes) -> None:
        """Replace or create a file; see `Sandbox.write`."""
        self._at_base = False
        await self._change(path, {"op": "write"}, content)

    async def snapshot(self) -> Snapshot:
        """Return what differs from the base; see `Sandbox.snapshot`."""
        return await self._tree.snapshot()

    async def restore(self, snapshot: Snapshot) -> None:
        """Go to base plus a snapshot; see `Sandbox.restore`."""
        await self._tree.restore(snapshot, at_base=self._at_base)

    async def limit_work_tree(self, size: int) -> None:
        """From now on a command that makes the work tree larger than this many bytes is killed; for one on disk."""
        await self._channel.call(Done, {"op": "limit", "bytes": size})

    async def populate(self) -> None:
        """Fill the work tree with the base commit."""
        await self._tree.populate()
        self._at_base = True

    async def leftovers(self) -> list[str]:
        """Return what is in the work tree and not of the base, ignored or not; whole folders end with `/`."""
        return await self._tree.leftovers()

    async def facts(self, paths: Sequence[str]) -> list[FileFacts]:
        """Describe each path, following nothing."""
        names = "\0".join(paths).encode("utf-8", "surrogateescape")
        try:
            _, payload = await self._channel.call(Content, {"op": "stat"}, names)
            facts = [parse_facts(line) for line in payload.decode().split("\n")]
        except (RefusedByAgentError, ValueError) as error:
            raise SandboxError(f"files could not be described: {error}") from error
        if len(facts) != len(paths):
            raise SandboxError(f"{len(paths)} files were asked for, {len(facts)} described")
        return facts

    async def fetch(self, path: str, *, limit: int) -> bytes:
        """Return a file's bytes or a symlink's target, following nothing."""
        return await self._content(path, limit, follow=False)

    async def put(self, path: str, state: FileState) -> None:
        """Make the path exactly this file or symlink."""
        await self._change(path, {"op": "put", "mode": state.mode}, state.content)

    async def remove(self, path: str) -> None:
        """Remove whatever stands at the path."""
        await self._change(path, {"op": "remove"}, b"")

    def scratch_folders(self) -> Sequence[str]:
        """Return where scratch files may go: all are in memory, and a command may have filled one."""
        return ("/tmp", "/home/agent", "/dev/shm")  # noqa: S108 - the container's, not the host's

    async def _content(self, path: str, limit: int, *, follow: bool) -> bytes:
        bound = min(limit, MAX_REPLY_PAYLOAD)
        try:
            _, payload = await self._channel.call(
                Content, {"op": "read", "path": path, "limit": bound, "follow": follow}
            )
        except RefusedByAgentError as error:
            raise SandboxPathError(path, REASONS.get(error.code, str(error))) from error
        if len(payload) > bound:
            raise self._channel.lose(f"{len(payload)} bytes came where {bound} were allowed")
        return payload

    async def _change(self, path: str, header: dict[str, Any], content: bytes) -> None:
        try:
            await self._channel.call(Done, {**header, "path": path}, content)
        except RefusedByAgentError as error:
            raise SandboxPathError(path, REASONS.get(error.code, str(error))) from error


def _in_pieces(stdin: bytes) -> tuple[bytes, list[bytes]]:
    """Return what goes with the request, all of it when it is small, and the pieces that follow."""
    if len(stdin) <= PIECE_BYTES:
        return stdin, []
    return b"", [stdin[at : at + PIECE_BYTES] for at in range(0, len(stdin), PIECE_BYTES)]
