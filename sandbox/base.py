"""What a stage may ask of an isolated work tree, and how that can fail."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

FileMode = Literal["100644", "100755", "120000"]
EMPTY: Mapping[str, str] = MappingProxyType({})
KEEP_BYTES = 1 << 20


class SandboxError(Exception):
    """The sandbox itself could not do its work; never the outcome of a command."""


class SandboxUnavailableError(SandboxError):
    """No sandbox could be started: no engine, no image, or no room."""


class SandboxLostError(SandboxError):
    """A running sandbox is gone (engine restart, removed container, out of memory)."""


class SandboxPathError(SandboxError):
    """A path cannot be read or written: it is data for the caller, the sandbox is fine."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class UnacceptableChangeError(SandboxError):
    """The work tree holds something that may never leave it, such as a submodule or a path into `.git`."""

    def __init__(self, code: str, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.code = code
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command did. Output keeps the head and the tail when it was longer than asked for.

    `exit_code` is None when the command was killed (time limit, memory, disk). `*_bytes` count what it wrote.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    oom: bool = False
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    stragglers: int = 0
    disk_full: bool = False


@dataclass(frozen=True, slots=True)
class BaseTree:
    """The commit a sandbox starts from: its id, a pack of that commit alone, and its files.

    `entries` maps each path to (mode, object id) as `git ls-tree -r` gives them. `submodules` are paths at which the
    commit has another repository; nothing of theirs goes in or comes out. `size` is what the files take up on a disk.
    """

    commit: str
    pack: bytes
    entries: Mapping[str, tuple[str, str]]
    submodules: frozenset[str] = frozenset()
    size: int = 0


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a snapshot; for a symlink (mode 120000) `content` is its target."""

    mode: FileMode
    content: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What differs from the base commit, by path in byte order; None is a deleted file."""

    files: Mapping[str, FileState | None] = field(default_factory=dict)


class Sandbox(Protocol):
    """An isolated work tree at a base commit. Every path is relative to its root, with `/`."""

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the limit is enforced inside the sandbox, not by cancellation
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> ExecResult:
        """Run a command in the work tree's root; at `timeout` seconds its whole process tree is killed.

        With `merge_output` stderr goes into stdout in the order written. At most `keep_bytes` of each
        stream come back, half from the head and half from the tail. Cancelling kills the process tree too.
        :raises SandboxLostError: the sandbox is gone.
        """
        ...

    async def read(self, path: str, *, limit: int) -> bytes:
        """Return a file's exact bytes.

        :raises SandboxPathError: missing, not a regular file, outside the root, or larger than `limit` bytes.
        """
        ...

    async def write(self, path: str, content: bytes) -> None:
        """Replace or create a file atomically, parents included; an existing file keeps its mode.

        :raises SandboxPathError: outside the root, through a symlink that leaves it, or onto a directory.
        """
        ...

    async def snapshot(self) -> Snapshot:
        """Return what differs from the base commit; files git ignores never count.

        :raises UnacceptableChangeError: a change that may not leave (see `code`), or one over the limits.
        """
        ...

    async def restore(self, snapshot: Snapshot) -> None:
        """Make every file git does not ignore exactly base plus `snapshot`."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """What a container of a run is made of. Sizes in bytes, `cpus` in cores; without `runtime` the engine's own.

    Commands reach the hosts of `allowlist`, with `network` every public one, through a proxy; else nothing.
    """

    image: str
    memory: int
    cpus: float
    pids: int
    disk: int
    network: bool = False
    allowlist: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None


class Backend(Protocol):
    """One kind of sandbox: a module `sandbox/<name>.py` that offers `backend() -> Backend`."""

    def open(self, environment: Environment, base: BaseTree) -> AbstractAsyncContextManager[Sandbox]:
        """Start a sandbox at `base`; it is gone when the context ends, whatever ended it.

        :raises SandboxUnavailableError: it could not be started.
        """
        ...
