"""The tree an attempt starts from: base plus accepted items, plus the item's last patch that was only red."""

from collections.abc import Sequence

from pipeline.flow import RunAttempt
from pipeline.patches import carried_over
from pipeline.run import Run
from pipeline.work_items import item_of
from sandbox.base import Snapshot


def starting_tree(run: Run, step: RunAttempt) -> Snapshot:
    """Return base plus accepted items, plus the item's last patch that was only red and still fits."""
    accepted = run.accepted
    attempts = run.state.attempts
    if step.stage == "debugger":
        last = run.state.last("coder", step.item) if step.item else None
        return run.recall(last.change) if last and last.change else accepted
    item = item_of(run, step.item)
    if step.stage != "coder" or item is None:
        return accepted
    mine = [i for i, a in enumerate(attempts) if (a.stage, a.item) == ("coder", step.item) and a.reusable]
    if not mine:
        return accepted
    then = run.recall(_accepted_then(run, mine[-1]))
    scope = [change.path for change in item.files]
    return carried_over(accepted, then, run.recall(attempts[mine[-1]].change), scope) or accepted


def _accepted_then(run: Run, index: int) -> str | None:
    count = run.state.accepted_at[index]
    trees: Sequence[str] = tuple(run.state.accepted.values())
    return trees[count - 1] if count else None
