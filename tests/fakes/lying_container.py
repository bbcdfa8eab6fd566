"""A container whose git and files say whatever a test wants them to say."""

from collections.abc import Mapping, Sequence

from sandbox.base import EMPTY, ExecResult, FileState
from sandbox.worktree import FileFacts

_KINDS = {"100644": ("file", 0o644), "100755": ("file", 0o755), "120000": ("link", 0o777)}


class LyingContainer:
    """Claims that these files differ from the base: those the base has as changed, the others as added.

    `sizes` replaces the true size of a file; a mode that is no file's makes a path neither file nor link.
    """

    def __init__(
        self, tracked: Sequence[str], claims: Mapping[str, FileState | None], sizes: Mapping[str, int]
    ) -> None:
        self._tracked = set(tracked)
        self._claims = claims
        self._sizes = sizes
        self.fetched: list[str] = []

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as in Container.exec
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = 0,
    ) -> ExecResult:
        zeros = "0" * 40
        changed = "".join(
            f":100644 100644 {zeros} {zeros} {'D' if state is None else 'M'}\0{path}\0"
            for path, state in self._claims.items()
            if path in self._tracked
        )
        added = "".join(f"{path}\0" for path in self._claims if path not in self._tracked)
        listing = f"{changed}\0{added}".encode(errors="surrogateescape")
        return ExecResult(0, listing, b"", 0.0, stdout_bytes=len(listing))

    async def facts(self, paths: Sequence[str]) -> list[FileFacts]:
        return [self._fact(path, self._claims[path]) for path in paths]

    def _fact(self, path: str, state: FileState | None) -> FileFacts:
        if state is None:
            return FileFacts("missing", 0, 0)
        kind, mode = _KINDS.get(state.mode, ("other", 0))
        return FileFacts(kind, mode, self._sizes.get(path, len(state.content)))  # type: ignore[arg-type] # from _KINDS

    async def fetch(self, path: str, *, limit: int) -> bytes:
        self.fetched.append(path)
        state = self._claims[path]
        return state.content if state else b""

    async def put(self, path: str, state: FileState) -> None:
        raise AssertionError("nothing is written while a change is judged")

    async def remove(self, path: str) -> None:
        raise AssertionError("nothing is removed while a change is judged")

    def scratch_folders(self) -> Sequence[str]:
        return ("/scratch",)
