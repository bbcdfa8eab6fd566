"""The whole work tree an attempt ended with, what git ignores included, as an archive beside the run."""

import os
from pathlib import Path

import anyio
from anyio import to_thread

from sandbox.base import ExecResult, Sandbox, SandboxError

MOST_BYTES = 32 << 20
SECONDS = 120.0
PACK = """
import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|gz") as archive:
    archive.add(".", filter=lambda entry: None if entry.name in ("./.git", ".git") else entry)
"""
# The archive is a claim of a container's, opened in a container and nowhere else.
UNPACK = """
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|gz") as archive:
    archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
    archive.extractall(".")
"""


def kept_file(state_dir: Path, run_id: str, item: str | None, attempt: int) -> Path:
    """Return where an attempt's archive is, if there is one."""
    return state_dir / "runs" / run_id / "kept" / f"{item or 'coder'}-{attempt}.tar.gz"


async def keep_tree(box: Sandbox, target: Path) -> str:
    """Write the archive; return words for what was kept, or why nothing was.

    :raises SandboxError: the sandbox is gone.
    """
    done = await box.exec(["python3", "-I", "-c", PACK], timeout=SECONDS, keep_bytes=MOST_BYTES)
    if done.exit_code != 0:
        return f"not kept: {_last_words(done)}"
    if done.stdout_bytes > len(done.stdout):
        return f"not kept: its archive is larger than {MOST_BYTES >> 20} MiB"
    with anyio.CancelScope(shield=True):
        await to_thread.run_sync(_write, target, done.stdout)
    return str(target)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


async def put_tree_back(box: Sandbox, archive: bytes) -> None:
    """Unpack an archive over a work tree at its base.

    :raises SandboxError: it cannot be unpacked.
    """
    empty = "find . -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +"
    await box.exec(["sh", "-c", empty], timeout=SECONDS)
    done = await box.exec(["python3", "-I", "-c", UNPACK], timeout=SECONDS, stdin=archive)
    if done.exit_code != 0:
        raise SandboxError(f"the kept work tree could not be put back: {_last_words(done)}")


def _last_words(done: ExecResult) -> str:
    return " ".join(done.stderr.decode(errors="replace").split())[-300:] or "no reason was given"
