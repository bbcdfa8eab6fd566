"""A sandbox for the stages' tests: a folder with a real git repository, without isolation."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from sandbox.base import (
    EMPTY,
    KEEP_BYTES,
    ExecResult,
    FileState,
    SandboxPathError,
    Snapshot,
    UnacceptableChangeError,
)


class WorkTree:
    """Its base is what the folder holds when it is made; a `.gitmodules` is what may never leave it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        subprocess.run(["git", "-C", str(root), "add", "-A"], check=True)
        self.base = self._files()

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the seam's own parameter
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> ExecResult:
        done = await anyio.run_process(
            list(argv),
            input=stdin,
            cwd=self.root,
            check=False,
            stderr=subprocess.STDOUT if merge_output else subprocess.PIPE,
            env={"PATH": self.path, "HOME": str(self.root), **env},
        )
        kept = _kept(done.stdout, keep_bytes)
        return ExecResult(done.returncode, kept, done.stderr or b"", 0.0, stdout_bytes=len(done.stdout))

    async def read(self, path: str, *, limit: int) -> bytes:
        target = self._inside(path)
        if not target.is_file():
            raise SandboxPathError(path, "no such file")
        content = target.read_bytes()
        if len(content) > limit:
            raise SandboxPathError(path, f"larger than {limit} bytes")
        return content

    async def write(self, path: str, content: bytes) -> None:
        target = self._inside(path)
        if target.is_dir():
            raise SandboxPathError(path, "is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    async def snapshot(self) -> Snapshot:
        now = self._files()
        if ".gitmodules" in now:
            raise UnacceptableChangeError("submodule", ".gitmodules", "submodules may not be added")
        changed = {
            path: now.get(path) for path in self.base.keys() | now.keys() if now.get(path) != self.base.get(path)
        }
        return Snapshot(dict(sorted(changed.items())))

    async def restore(self, snapshot: Snapshot) -> None:
        for path in self._files():
            (self.root / path).unlink()
        for path, state in ({**self.base, **snapshot.files}).items():
            if state is not None:
                target = self.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _put(target, state)

    def text(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def _inside(self, path: str) -> Path:
        target = self.root / path
        if not target.resolve().is_relative_to(self.root.resolve()):
            raise SandboxPathError(path, "outside the root")
        return target

    def _files(self) -> dict[str, FileState]:
        argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        listed = subprocess.run(argv, cwd=self.root, check=True, capture_output=True).stdout.decode()
        paths = [path for path in listed.split("\0") if path and os.path.lexists(self.root / path)]
        return {path: _state(self.root / path) for path in paths}


def _state(path: Path) -> FileState:
    if path.is_symlink():
        return FileState("120000", os.fsencode(path.readlink()))
    return FileState("100755" if os.access(path, os.X_OK) else "100644", path.read_bytes())


def _put(target: Path, state: FileState) -> None:
    if state.mode == "120000":
        target.symlink_to(os.fsdecode(state.content))
        return
    target.write_bytes(state.content)
    target.chmod(int(state.mode[3:], 8))


def _kept(output: bytes, limit: int) -> bytes:
    return output if len(output) <= limit else output[: limit // 2] + output[-(limit // 2) :]
