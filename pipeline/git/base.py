"""Read the commit a run starts from: a pack of that commit alone, and the list of its files."""

from typing import NamedTuple

from pipeline.errors import GitError
from pipeline.git.command import Git
from sandbox.base import BaseTree
from sandbox.placement import on_disk

# The pack lives as long as its sandbox: searching for deltas and compressing would cost minutes in a large repository.
PACK = ("pack-objects", "--stdout", "-q", "--window=0", "--compression=0")


class _Entry(NamedTuple):
    mode: str
    kind: str
    identifier: str
    path: str
    size: int


def read_base(git: Git, commit: str) -> BaseTree:
    """Return the base commit without its history.

    Submodules stay in the tree but are no files: nothing of theirs is read, checked out or changed.
    :raises GitError: the commit or some of its objects cannot be read.
    """
    listing = _listing(git, commit)
    root = git.run("rev-parse", "--verify", f"{commit}^{{tree}}").decode().strip()
    objects = sorted({commit, root, *(entry.identifier for entry in listing if entry.kind != "commit")})
    try:
        pack = git.run(*PACK, stdin="".join(f"{name}\n" for name in objects).encode())
    except GitError as error:
        raise GitError(
            f"{error}; all objects of commit {commit} are needed: `git fsck` names what is missing, and "
            "a partial clone gets it with `git fetch --refetch --no-filter`"
        ) from error
    files = {entry.path: (entry.mode, entry.identifier) for entry in listing if entry.kind == "blob"}
    submodules = frozenset(entry.path for entry in listing if entry.kind == "commit")
    size = sum(on_disk(entry.size) for entry in listing)
    return BaseTree(commit, pack, files, submodules, size)


def measure_tree(git: Git, commit: str) -> tuple[int, int]:
    """Return what a commit's files take up on a disk, in bytes, and how many they are.

    :raises GitError: the commit cannot be read.
    """
    files = [entry for entry in _listing(git, commit) if entry.kind == "blob"]
    return sum(on_disk(entry.size) for entry in files), len(files)


def _listing(git: Git, commit: str) -> list[_Entry]:
    lines = git.run("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit).split(b"\0")
    return [_entry(line) for line in lines if line]


def _entry(line: bytes) -> _Entry:
    facts, _, path = line.partition(b"\t")
    mode, kind, identifier, size = facts.decode().split()
    # Folders and submodules have no size, and git says BAD for a file whose object is missing.
    bytes_of_file = int(size) if size.isdigit() else 0
    # A name that is not UTF-8 is kept the way Python spells such file names.
    return _Entry(mode, kind, identifier, path.decode(errors="surrogateescape"), bytes_of_file)
