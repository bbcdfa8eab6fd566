"""The tree an attempt starts from: base plus accepted items, plus the item's last patch that was only red."""

from pipeline.running.patches import carried_over
from pipeline.running.run import Run
from pipeline.running.work_items import item_of
from pipeline.steps import RunAttempt
from sandbox.base import Snapshot


def starting_tree(run: Run, step: RunAttempt) -> Snapshot:
    """Return base plus accepted items, plus the item's last patch that was only red and still fits."""
    accepted = run.accepted
    if step.stage == "debugger":
        last = run.state.last("coder", step.item) if step.item else None
        return run.recall(last.change) if last and last.change else accepted
    item = item_of(run, step.item)
    if step.stage != "coder" or item is None:
        return accepted
    last = next((attempt for attempt in reversed(run.state.of("coder", step.item)) if attempt.reusable), None)
    if last is None:
        return accepted
    then = run.recall(run.state.accepted_before(last))
    scope = [change.path for change in item.files]
    return carried_over(accepted, then, run.recall(last.change), scope) or accepted
