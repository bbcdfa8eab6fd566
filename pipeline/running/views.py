"""Trees of a run as others look at them: by path for gates and the map, as text for a model."""

from dataclasses import dataclass

from pipeline.events import AttemptEnded
from pipeline.judging.flags import Flag, flags
from pipeline.running.run import Run
from sandbox.base import Snapshot


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """A tree as the gates and the map see it."""

    run: Run
    snapshot: Snapshot

    def exists(self, path: str) -> bool:
        """Tell whether a file is there."""
        return path in self.paths()

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is no such file."""
        return self.run.tree.read_file(path, self.snapshot)

    def paths(self) -> frozenset[str]:
        """Return every file's path."""
        return self.run.tree.paths(self.snapshot)


def flags_of(run: Run, tree: Snapshot) -> tuple[Flag, ...]:
    """Return which of a tree's changes against the base decide what runs elsewhere."""
    read = run.tree.read_file
    return flags((path, read(path, Snapshot()), read(path, tree)) for path in tree.files)


def diff_of(run: Run, attempt: AttemptEnded) -> str:
    """Return what an attempt changed, against what was accepted when it was made."""
    if not attempt.change:
        return ""
    return diff_text(run, run.recall(run.state.accepted_before(attempt)), run.recall(attempt.change))


def diff_text(run: Run, old: Snapshot, new: Snapshot) -> str:
    """Return a patch as text a model can be sent: what is not UTF-8 in it is replaced."""
    return run.tree.diff(old, new).encode(errors="surrogateescape").decode(errors="replace")
