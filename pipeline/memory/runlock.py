"""The lock that lets one process at a time work on a run, and that dies with it."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import InfrastructureError, UsageError


def works(state_dir: Path, run_id: str) -> bool:
    """Tell whether a process of this machine still works on a run, as far as its lock says."""
    try:
        holder = int((state_dir / "locks" / f"{run_id}.lock").read_text(encoding="ascii"))
        os.kill(holder, 0)
    except (OSError, ValueError) as error:
        return isinstance(error, PermissionError)
    return True


class RunLock:
    """A context manager around the work on a run. The kernel frees the lock when the process ends, however it does.

    :raises UsageError: another process works on the run; the message names it.
    :raises InfrastructureError: the state folder cannot be written.
    """

    def __init__(self, state_dir: Path, run_id: str) -> None:
        self._path = state_dir / "locks" / f"{run_id}.lock"
        self._run_id = run_id
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            while self._descriptor is None:
                self._descriptor = self._take()
        except OSError as error:
            raise InfrastructureError(f"cannot lock {self._path}: {error}; try another --state-dir") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._descriptor is None:
            return
        # Removed while it is still locked: whoever waits for this inode finds out in `_take` and starts over.
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def _take(self) -> int | None:
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise UsageError(
                f"process {holder} is working on run {self._run_id}; wait for it, or end it (kill {holder})"
            ) from None
        if not self._still_there(descriptor):
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def _still_there(self, descriptor: int) -> bool:
        try:
            return self._path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False
