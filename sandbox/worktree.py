"""A work tree at its base commit: filled from a pack, read as a snapshot, set back to one."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast, get_args

from sandbox.acceptance import LINK_MODE, SUBMODULE_MODE, refuse_count, refuse_path, refuse_sizes
from sandbox.base import (
    EMPTY,
    BaseTree,
    ExecResult,
    FileState,
    SandboxError,
    SandboxLostError,
    SandboxPathError,
    Snapshot,
    UnacceptableChangeError,
)
from sandbox.judgement import Judge
from sandbox.tree_scripts import (
    CLEAN,
    EMPTIED,
    LEFTOVERS,
    MANIFEST,
    POPULATE,
    exclude_lines,
    index_entries,
    split_manifest,
)

GIT_SECONDS = 300.0
LISTING_BYTES = 16 << 20
Kind = Literal["file", "link", "folder", "other", "missing"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What stands at a path, nothing followed; `mode` are its permission bits, `size` its bytes."""

    kind: Kind
    mode: int
    size: int


class Container(Protocol):
    """What a work tree needs of the place it lives in."""

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - enforced inside
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = LISTING_BYTES,
    ) -> ExecResult:
        """Run a command in the work tree's root."""
        ...

    async def facts(self, paths: Sequence[str]) -> list[FileFacts]:
        """Describe each path."""
        ...

    async def fetch(self, path: str, *, limit: int) -> bytes:
        """Return a file's bytes or a symlink's target, following nothing; SandboxPathError when it cannot."""
        ...

    async def put(self, path: str, state: FileState) -> None:
        """Make the path exactly this, whatever stood there."""
        ...

    async def remove(self, path: str) -> None:
        """Remove whatever stands at the path."""
        ...

    def scratch_folders(self) -> Sequence[str]:
        """Return folders outside the work tree to try for scratch files, best first."""
        ...


class WorkTree:
    """Base, snapshot and restore over a container. `carried` are paths that setup left and no patch may hold."""

    def __init__(
        self, container: Container, base: BaseTree, *, carried: Sequence[str] = (), carried_from: str = ""
    ) -> None:
        self._container = container
        self._base = base
        self._exclude = exclude_lines(carried)
        self._carried_from = carried_from
        self._judge = Judge(base)
        self._format = "sha256" if len(base.commit) == 64 else "sha1"

    async def populate(self) -> None:
        """Make `.git` and every tracked file those of the base commit.

        :raises SandboxError: git inside did not manage it.
        """
        arguments = [self._base.commit, self._format, self._exclude, self._carried_from]
        result = await self._script(POPULATE, arguments, self._base.pack)
        _expect_success(result, "the base commit could not be unpacked")

    async def snapshot(self) -> Snapshot:
        """Return what differs from the base; see `Sandbox.snapshot`."""
        changed, added = await self._manifest(self._base.entries)
        facts = await self._judged_facts(changed, added)
        files: dict[str, FileState | None] = {}
        for path, fact in facts.items():
            state = await self._state(path, fact)
            if not self._is_base(path, state):
                files[path] = state
        self._judge.refuse(files)
        return Snapshot({path: files[path] for path in sorted(files, key=_as_bytes)})

    async def restore(self, snapshot: Snapshot, *, at_base: bool = False) -> None:
        """Make every file git does not ignore base plus `snapshot`; see `Sandbox.restore`.

        `at_base` says that nothing was done to the tree since it was populated, which then need not happen again.
        """
        try:
            await self._go_to(snapshot, at_base=at_base)
        except SandboxLostError:
            raise
        except SandboxError:
            # A flooded tree has no room for it: then everything goes first, files that git ignores too.
            await self._script(EMPTIED, [], b"")
            await self._go_to(snapshot, at_base=False)

    async def _go_to(self, snapshot: Snapshot, *, at_base: bool) -> None:
        if not at_base:
            await self.populate()
        for path, state in snapshot.files.items():
            if state is None:
                await self._container.remove(path)
        for path, state in snapshot.files.items():
            if state is not None:
                await self._container.put(path, state)
        result = await self._with_fresh_index(CLEAN, self._entries_with(snapshot))
        _expect_success(result, "untracked files could not be removed")

    async def leftovers(self) -> list[str]:
        """Return every file or folder that is not of the base, ignored ones too; whole folders end with `/`."""
        result = await self._with_fresh_index(LEFTOVERS, self._base.entries)
        _expect_success(result, "what setup left could not be listed")
        return result.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]

    async def _manifest(self, entries: Mapping[str, tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
        result = await self._with_fresh_index(MANIFEST, entries)
        if result.stdout_bytes > len(result.stdout):
            raise UnacceptableChangeError("too_many_files", "the work tree", "holds more new files than can be listed")
        _expect_success(result, "the changes could not be listed")
        try:
            return split_manifest(result.stdout)
        except ValueError as error:
            raise SandboxError(f"the changes could not be listed: {error}") from error

    async def _judged_facts(self, changed: Mapping[str, str], added: Sequence[str]) -> dict[str, FileFacts]:
        refuse_count(len(changed) + len(added))
        for path in changed:
            if self._base.entries.get(path, ("", ""))[0] == SUBMODULE_MODE:
                raise UnacceptableChangeError("submodule", path, "submodules cannot be changed")
        for path in added:
            if path.endswith("/"):
                raise UnacceptableChangeError("submodule", path, "is a git repository of its own")
        paths = list(dict.fromkeys([*changed, *added]))
        for path in paths:
            refuse_path(path)
        facts = dict(zip(paths, await self._container.facts(paths), strict=True)) if paths else {}
        # What git cannot find is gone, though something may stand behind a symlink in the place of its folder.
        facts |= {path: FileFacts("missing", 0, 0) for path, letter in changed.items() if letter == "D"}
        # A path under which other files stand now is a deleted file, not a folder in a commit.
        kept = {path: fact for path, fact in facts.items() if fact.kind not in {"missing", "folder"}}
        for path, fact in kept.items():
            if fact.kind == "other":
                raise UnacceptableChangeError("mode", path, "is neither a file nor a symlink")
        refuse_sizes({path: fact.size for path, fact in kept.items()})
        return facts

    async def _state(self, path: str, fact: FileFacts) -> FileState | None:
        if fact.kind in {"missing", "folder"}:
            return None
        try:
            content = await self._container.fetch(path, limit=fact.size)
        except SandboxPathError as error:
            raise UnacceptableChangeError("mode", path, f"cannot be read: {error.reason}") from error
        if fact.kind == "link":
            return FileState(LINK_MODE, content)
        return FileState("100755" if fact.mode & 0o100 else "100644", content)

    def _is_base(self, path: str, state: FileState | None) -> bool:
        entry = self._base.entries.get(path)
        return entry == (None if state is None else (state.mode, self._object_id(state.content)))

    def _object_id(self, content: bytes) -> str:
        return hashlib.new(self._format, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    def _entries_with(self, snapshot: Snapshot) -> dict[str, tuple[str, str]]:
        entries = {path: entry for path, entry in self._base.entries.items() if path not in snapshot.files}
        for path, state in snapshot.files.items():
            if state is not None:
                entries[path] = (state.mode, self._object_id(state.content))
        return entries

    async def _with_fresh_index(self, script: str, entries: Mapping[str, tuple[str, str]]) -> ExecResult:
        """Run a script over an index made just for it; a full scratch folder must not stop it."""
        for folder in self._container.scratch_folders():
            result = await self._script(script, [self._format, self._exclude, folder], index_entries(entries))
            if result.exit_code == 0:
                break
        return result

    async def _script(self, script: str, arguments: Iterable[str], stdin: bytes) -> ExecResult:
        return await self._container.exec(
            ["sh", "-c", script, "sh", *arguments], timeout=GIT_SECONDS, stdin=stdin, keep_bytes=LISTING_BYTES
        )


def parse_facts(line: str) -> FileFacts:
    """Read one line of the agent's answer.

    :raises ValueError: it is none.
    """
    kind, mode, size = line.split(" ")
    if kind not in get_args(Kind):
        raise ValueError(f"no kind of file: {kind[:20]}")
    return FileFacts(cast("Kind", kind), int(mode), int(size))


def _expect_success(result: ExecResult, what: str) -> None:
    if result.exit_code != 0:
        words = " ".join(result.stderr.decode(errors="replace").split())[-400:]
        raise SandboxError(f"{what}: {words or 'no reason given'} (exit {result.exit_code})")


def _as_bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
