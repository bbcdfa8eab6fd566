"""The write gate: what an item may touch, judged before a byte is written and after a command ran."""

import os
from posixpath import normpath

from sandbox.base import Sandbox, Snapshot
from stages.artifacts import WorkItem
from stages.paths import normalise, writable
from stages.tool import RefusedError

RESOLVE_SECONDS = 30.0
# Python is the least an image must have; realpath(1) without options differs between systems.
_RESOLVE = """
import os, sys
root = os.path.realpath(".")
folder, name = os.path.split(sys.argv[1])
follow = sys.argv[2] == "follow"
real = os.path.realpath(sys.argv[1]) if follow else os.path.join(os.path.realpath(folder or "."), name)
sys.stdout.buffer.write(os.fsencode(os.path.relpath(real, root)))
"""


def scope_refusal(path: str, item: WorkItem, *, deleting: bool) -> RefusedError | None:
    """Return why `path` may not be written (or deleted) within `item`; None when it may."""
    operations = {file.operation for file in item.files if normpath(file.path) == path}
    if not operations:
        listed = ", ".join(file.path for file in item.files) or "nothing"
        return RefusedError("out_of_scope", f"{path} is not in this item's scope, which is: {listed}")
    if deleting and operations.isdisjoint({"delete", "create"}):
        return RefusedError("operation", f"{path} is listed to be modified; it may not be deleted")
    if not deleting and operations == {"delete"}:
        return RefusedError("operation", f"{path} is listed to be deleted; it may not be written")
    return None


async def admit(path: str, item: WorkItem, sandbox: Sandbox, *, deleting: bool) -> str:
    """Return the real path a proposal would touch, symlinks resolved, if the item's scope has it.

    Deleting a symlink touches the link, writing to one touches what it points to.
    :raises RefusedError: it may not be touched.
    """
    named = normalise(path)
    real = await _resolve(named, sandbox, follow=not deleting)
    if real == ".." or real.startswith(("../", "/")):
        raise RefusedError("symlink", f"{named} leads out of the repository through a symlink")
    real = writable(real)
    refusal = scope_refusal(real, item, deleting=deleting)
    if refusal and real != named:
        raise RefusedError(refusal.code, f"{named} is a symlink's way to {real}: {refusal.reason}")
    if refusal:
        raise refusal
    return real


async def _resolve(path: str, sandbox: Sandbox, *, follow: bool) -> str:
    argv = ["python3", "-I", "-S", "-c", _RESOLVE, path, "follow" if follow else "stay"]
    done = await sandbox.exec(argv, timeout=RESOLVE_SECONDS)
    if done.exit_code != 0:
        raise RefusedError("path", f"{path} could not be resolved: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def out_of_scope(before: Snapshot, after: Snapshot, item: WorkItem) -> tuple[str, ...]:
    """Return the paths that changed between two snapshots although `item` does not allow it. Pure."""
    return tuple(path for path in _changed(before, after) if not _allowed(path, after, item))


def put_back(before: Snapshot, after: Snapshot, paths: tuple[str, ...]) -> Snapshot:
    """Return `after` with `paths` as they were in `before`. Pure."""
    files = {path: state for path, state in after.files.items() if path not in paths}
    files |= {path: before.files[path] for path in paths if path in before.files}
    return Snapshot(dict(sorted(files.items(), key=lambda entry: os.fsencode(entry[0]))))


def _changed(before: Snapshot, after: Snapshot) -> list[str]:
    missing = object()
    paths = before.files.keys() | after.files.keys()
    return sorted(path for path in paths if before.files.get(path, missing) != after.files.get(path, missing))


def _allowed(path: str, after: Snapshot, item: WorkItem) -> bool:
    # A path without an entry is as the base commit has it: an undone write or an undone deletion.
    if path not in after.files:
        return any(normpath(file.path) == path for file in item.files)
    return scope_refusal(path, item, deleting=after.files[path] is None) is None
