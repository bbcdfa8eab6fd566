"""The patch of a run that has not ended: rebuilt from its journal and the repository it works on."""

from collections.abc import Callable
from pathlib import Path

from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.git.tree import TreeStore
from pipeline.reporting.account import Account
from pipeline.running.changes import load
from pipeline.running.patches import within
from pipeline.state import RunState
from sandbox.base import Snapshot

Get = Callable[[str], bytes]


def unfinished_patch(told: Account, get: Get, objects: Path) -> bytes:
    """Return base → accepted items plus the item at hand, as a unified diff, empty where nothing was kept.

    `objects` is a scratch folder for git objects; the user's `.git` is only read.
    :raises GitError: the repository or the base commit is gone.
    """
    tree = last_tree(told.state, get)
    if not tree.files:
        return b""
    git = Git(Path(told.started.repository), objects)
    store = TreeStore(git, read_base(git, told.started.base))
    return store.diff(Snapshot(), tree).encode(errors="surrogateescape")


def last_tree(state: RunState, get: Get) -> Snapshot:
    """Return base plus accepted items, plus what the item at hand has come to within the manifest's files."""
    accepted = load(state.accepted_change, get) if state.accepted_change else Snapshot()
    last = next((a for a in reversed(state.attempts) if a.stage == "coder" and a.change), None)
    if last is None or last.change is None or last.item in state.accepted or state.manifest is None:
        return accepted
    scope = [change.path for item in state.manifest.work_items for change in item.files]
    return within(accepted, load(last.change, get), scope)
