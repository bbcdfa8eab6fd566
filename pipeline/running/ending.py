"""End a run: the branch when it is solved, the partial patch when it is not, the receipt always."""

import json

from pipeline.errors import GitError
from pipeline.events import RunEnded
from pipeline.git.branch import publish
from pipeline.git.receipt import Receipt, compare, take
from pipeline.reporting.account import working_seconds
from pipeline.reporting.unfinished import last_tree
from pipeline.running.run import Run
from pipeline.running.views import flags_of
from pipeline.state import RunState
from pipeline.steps import EndRun
from sandbox.base import Snapshot


async def finish(run: Run, ending: EndRun, *, resume_at: float | None = None) -> RunEnded:
    """Record how the run ended; a branch that cannot be made turns `solved` into `infrastructure`."""
    tree = run.accepted if ending.status == "solved" else last_tree(run.state, run.journal.get)
    branch = commit = None
    if ending.status == "solved":
        try:
            branch, commit = _publish(run, tree)
        except GitError as error:
            ending = EndRun("infrastructure", f"every item is green, but the branch could not be made: {error}")
    event = RunEnded(
        status=ending.status,
        reason=ending.reason,
        stage=ending.stage,
        item=ending.item,
        bound=ending.bound,
        config_key=ending.config_key,
        config_line=_config_line(run, ending.config_key),
        failure=ending.failure,
        branch=branch,
        commit=commit,
        change=run.keep(tree),
        patch=_patch(run, tree),
        receipt=_receipt(run, branch),
        resume_at=resume_at,
        seconds=round(working_seconds(run.journal.events()), 3),
        flags=flags_of(run, tree),
    )
    run.journal.append(event)
    return event


def models_of(state: RunState) -> list[str]:
    """Return the models whose attempts passed, in the order they first did."""
    return list(dict.fromkeys(f"{a.vendor}/{a.model}" for a in state.attempts if a.outcome == "passed"))


def _publish(run: Run, tree: Snapshot) -> tuple[str, str]:
    return publish(
        run.git,
        run.base.commit,
        run.tree.write(tree),
        ticket=run.ticket,
        run_id=run.run_id,
        models=models_of(run.state),
        when=run.journal.events()[0].at.timestamp(),
    )


def _config_line(run: Run, key: str | None) -> str | None:
    """Return where the config sets a limit, None for a default or a limit that is no line."""
    lines = json.loads(run.journal.get(run.state.config_lines)) if run.state.config_lines else {}
    return lines.get(key)


def _patch(run: Run, tree: Snapshot) -> str | None:
    """Return the blob of the unified diff, None when the repository cannot be read any more."""
    try:
        return run.journal.put(run.tree.diff(Snapshot(), tree).encode(errors="surrogateescape"))
    except GitError:
        return None


def _receipt(run: Run, branch: str | None) -> str | None:
    """Return the blob of the comparison, None when the repository cannot be read any more."""
    started = run.state.started
    assert started is not None
    before = Receipt.model_validate_json(run.journal.get(started.receipt))
    try:
        after = take(run.repository, leave_out=[run.state_dir])
    except GitError:
        return None
    report = compare(before, after, new_branch=branch)
    return run.journal.put(json.dumps(report.model_dump(mode="json"), sort_keys=True).encode())
