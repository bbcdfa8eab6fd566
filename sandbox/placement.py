"""Decides where a work tree lives: in memory while there is plenty, else on a disk volume. Pure."""

from dataclasses import dataclass
from typing import Literal

GIB = 1 << 30
BLOCK = 4096
# Beside the work tree there are /tmp, the home folder and shared memory, and the commands themselves.
MEMORY_LEFT = GIB
MOST_FILES = 200_000
Where = Literal["memory", "disk"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where, how many bytes the work tree may come to there, and why it is there."""

    where: Where
    limit: int
    reason: str


def on_disk(size: int) -> int:
    """Return what a file of that many bytes takes up."""
    return -(-size // BLOCK) * BLOCK


def taken(size: int, carried: int = 0) -> int:
    """Return what a tree of `size` bytes and what setup left take up: git keeps a second copy, at most as large."""
    return 2 * size + carried


def place_work_tree(tree: int, files: int, *, disk: int, memory: int) -> Placement:
    """Return the place for a work tree that begins with `tree` bytes in `files` files.

    `disk` and `memory` are the limits of the configuration. In memory a work tree comes to `disk` bytes in all; on a
    volume it may grow by `disk` bytes.
    """
    volume_limit = tree + disk
    if disk + MEMORY_LEFT > memory:
        reason = f"sandbox.disk ({_size(disk)}) + 1 GiB is more than sandbox.memory ({_size(memory)})"
        return Placement("disk", volume_limit, reason)
    if 2 * tree > disk:
        reason = f"the tree ({_size(tree)}) takes more than half of sandbox.disk ({_size(disk)})"
        return Placement("disk", volume_limit, reason)
    if files > MOST_FILES:
        return Placement("disk", volume_limit, f"the tree has {files:,} files, more than {MOST_FILES:,}")
    return Placement("memory", disk, f"{_size(tree)} of {_size(disk)}")


def _size(size: int) -> str:
    if size >= GIB:
        return f"{size / GIB:.3g} GiB"
    return f"{size / (1 << 20):.3g} MiB"
