"""A sandbox over a temporary folder: no isolation at all, for unit tests whose commands are their own."""

import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT

import anyio
from anyio import CancelScope, EndOfStream, create_task_group, move_on_after
from anyio.abc import ByteReceiveStream, Process

from sandbox.base import EMPTY, KEEP_BYTES, BaseTree, ExecResult, FileState, SandboxPathError, Snapshot
from sandbox.worktree import FileFacts, Kind, WorkTree


class DirectorySandbox:
    """Runs commands on the host, in a folder."""

    container_id = "directory"

    def __init__(self, root: Path, scratch: Path, base: BaseTree) -> None:
        self.root = root
        self._scratch = scratch
        self._tree = WorkTree(self, base)

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as in Sandbox.exec
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> ExecResult:
        started = time.monotonic()
        clean = {"PATH": os.environ["PATH"], "HOME": str(self._scratch), "PYTHONDONTWRITEBYTECODE": "1", **env}
        try:
            process = await anyio.open_process(
                list(argv),
                stdin=PIPE if stdin else DEVNULL,
                stdout=PIPE,
                stderr=STDOUT if merge_output else PIPE,
                cwd=self.root,
                env=clean,
                start_new_session=True,
            )
        except FileNotFoundError:
            message = f"{argv[0]}: command not found\n".encode()
            return ExecResult(127, b"", message, time.monotonic() - started, stderr_bytes=len(message))
        out, err = bytearray(), bytearray()
        timed_out = await _run(process, stdin, (out, err), timeout)
        return ExecResult(
            exit_code=None if timed_out else _exit_code(process),
            stdout=_bounded(out, keep_bytes),
            stderr=_bounded(err, keep_bytes),
            seconds=time.monotonic() - started,
            timed_out=timed_out,
            stdout_bytes=len(out),
            stderr_bytes=len(err),
        )

    async def read(self, path: str, *, limit: int) -> bytes:
        where = self._inside(path)
        if not where.exists():
            raise SandboxPathError(path, "does not exist")
        if not where.is_file():
            raise SandboxPathError(path, "is not a regular file")
        if where.stat().st_size > limit:
            raise SandboxPathError(path, f"larger than {limit} bytes")
        return where.read_bytes()

    async def write(self, path: str, content: bytes) -> None:
        where = self._inside(path)
        if where.is_dir():
            raise SandboxPathError(path, "is not a regular file")
        with _as_path_error(path):
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(content)

    async def snapshot(self) -> Snapshot:
        return await self._tree.snapshot()

    async def restore(self, snapshot: Snapshot) -> None:
        await self._tree.restore(snapshot)

    async def populate(self) -> None:
        await self._tree.populate()

    async def facts(self, paths: Sequence[str]) -> list[FileFacts]:
        return [_facts(self.root / path) for path in paths]

    async def fetch(self, path: str, *, limit: int) -> bytes:
        where = self.root / path
        if where.is_symlink():
            return os.fsencode(where.readlink())
        with _as_path_error(path):
            return where.read_bytes()[:limit]

    async def put(self, path: str, state: FileState) -> None:
        where = self.root / path
        for folder in reversed(where.parents):
            if folder.is_relative_to(self.root) and (folder.is_symlink() or not folder.is_dir()):
                _clear(folder)
                folder.mkdir()
        _clear(where)
        if state.mode == "120000":
            where.symlink_to(os.fsdecode(state.content))
        else:
            where.write_bytes(state.content)
            where.chmod(0o755 if state.mode == "100755" else 0o644)

    async def remove(self, path: str) -> None:
        _clear(self.root / path)

    def scratch_folders(self) -> Sequence[str]:
        return (str(self._scratch),)

    def _inside(self, path: str) -> Path:
        where = (self.root / path).resolve()
        if not path or path.startswith("/") or not where.is_relative_to(self.root):
            raise SandboxPathError(path, "leads out of the work tree")
        return where


@asynccontextmanager
async def directory_sandbox(base: BaseTree) -> AsyncIterator[DirectorySandbox]:
    """Yield a sandbox in a fresh folder that holds the base commit."""
    with tempfile.TemporaryDirectory(prefix="directory-sandbox-") as folder:
        sandbox = DirectorySandbox(*_folders(folder), base)
        await sandbox.populate()
        yield sandbox


def _folders(folder: str) -> tuple[Path, Path]:
    below = Path(folder).resolve()
    for name in ("workspace", "home"):
        (below / name).mkdir()
    return below / "workspace", below / "home"


async def _run(process: Process, stdin: bytes, kept: tuple[bytearray, bytearray], seconds: float) -> bool:
    """Feed, drain and wait; kill the whole session at the end, whatever the end was. True when time ran out."""
    async with create_task_group() as tasks:
        tasks.start_soon(_feed, process, stdin)
        for stream, into in zip((process.stdout, process.stderr), kept, strict=True):
            if stream is not None:
                tasks.start_soon(_drain, stream, into)
        try:
            with move_on_after(seconds) as limit:
                await process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with CancelScope(shield=True):
                await process.wait()
    await process.aclose()
    return limit.cancelled_caught


async def _feed(process: Process, stdin: bytes) -> None:
    if process.stdin is not None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.send(stdin)
        await process.stdin.aclose()


async def _drain(stream: ByteReceiveStream, into: bytearray) -> None:
    with suppress(EndOfStream):
        while True:
            into += await stream.receive()


def _exit_code(process: Process) -> int:
    code = process.returncode or 0
    return 128 - code if code < 0 else code


def _bounded(data: bytearray, keep: int) -> bytes:
    head = keep // 2
    return bytes(data) if len(data) <= keep else bytes(data[:head] + data[len(data) - (keep - head) :])


def _facts(where: Path) -> FileFacts:
    try:
        facts = where.lstat()
    except OSError:
        return FileFacts("missing", 0, 0)
    kinds: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}
    return FileFacts(kinds.get(stat.S_IFMT(facts.st_mode), "other"), stat.S_IMODE(facts.st_mode), facts.st_size)


def _clear(where: Path) -> None:
    if where.is_dir() and not where.is_symlink():
        shutil.rmtree(where)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            where.unlink()


@contextmanager
def _as_path_error(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SandboxPathError(path, error.strerror or str(error)) from error
