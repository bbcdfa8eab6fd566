"""Trees for the tests of the gates: a base of files, and what differs from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.base import FileState, Snapshot
from stages.artifacts import FileChange, Manifest, SymbolChange, Ticket, TicketScope, WorkItem


@dataclass(frozen=True)
class View:
    """A tree in memory."""

    base: Mapping[str, bytes]
    snapshot: Snapshot = field(default_factory=Snapshot)

    def exists(self, path: str) -> bool:
        return path in self.paths()

    def read(self, path: str) -> bytes | None:
        if path in self.snapshot.files:
            state = self.snapshot.files[path]
            return state.content if state else None
        return self.base.get(path)

    def paths(self) -> frozenset[str]:
        gone = {path for path, state in self.snapshot.files.items() if state is None}
        return frozenset((self.base.keys() | self.snapshot.files.keys()) - gone)

    def changed(self, changes: Mapping[str, bytes | None]) -> "View":
        """Return the same base with these files written or deleted."""
        states = {path: None if content is None else FileState("100644", content) for path, content in changes.items()}
        return View(self.base, Snapshot({**self.snapshot.files, **states}))


FILES: dict[str, bytes] = {
    "README.md": b"# demo\n",
    "src/app.py": b"LIMIT = 3\n\ndef run():\n    pass\n\nclass App:\n    def start(self):\n        pass\n",
    "src/old.py": b"def gone():\n    pass\n",
    "src/broken.py": b"def broken(:\n",
    "web/app.js": b"export function go() {}\n",
    "tests/test_app.py": b"def test_run():\n    pass\n",
    "docs/link": b"../README.md",
}


def touch(text: str) -> FileChange:
    """`create src/a.py +add ~modify -remove`."""
    operation, path, *symbols = text.split(" ")
    kinds: dict[str, Literal["add", "modify", "remove"]] = {"+": "add", "~": "modify", "-": "remove"}
    changes = tuple(SymbolChange(name=word[1:], operation=kinds[word[0]]) for word in symbols)
    return FileChange.model_validate({"path": path, "operation": operation, "symbols": changes})


def item(identity: str, *files: str, needs: tuple[str, ...] = (), tests: tuple[str, ...] = ()) -> WorkItem:
    return WorkItem(
        id=identity,
        title=identity,
        depends_on=needs,
        files=tuple(touch(text) for text in files),
        instructions="do it",
        tests=tests,
    )


def manifest(*items: WorkItem) -> Manifest:
    return Manifest(summary="s", work_items=items)


def ticket(**scope: Any) -> Ticket:
    return Ticket(id="t", title="t", body="", scope=TicketScope(**scope))
