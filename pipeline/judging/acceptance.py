"""Judge what an attempt proposes: gates first, then the user's checks in clean containers."""

from collections.abc import Sequence

from pipeline.events import CheckFinished
from pipeline.judging.checking import Selection, run_checks
from pipeline.judging.gates import change_failure, manifest_failures
from pipeline.judging.verdict import deleted_tests
from pipeline.running.run import Run
from pipeline.running.views import SnapshotView
from pipeline.running.work_items import item_of, named_tests
from pipeline.standing import judged_by_all_checks
from pipeline.steps import RunAttempt, RunRecheck
from sandbox.base import Snapshot
from stages.artifacts import Failure, Manifest, WorkItem
from stages.contract import StageResult
from stages.excerpt import excerpt

EXCERPT_CHARACTERS = 6_000


def judge_manifest(run: Run, manifest: Manifest) -> StageResult:
    """Let the manifest gates speak."""
    failure = manifest_failures(
        manifest,
        view=SnapshotView(run, run.accepted),
        ticket=run.ticket,
        accepted=tuple(run.state.accepted),
        done=run.state.done,
        limit=run.settings.limits.work_items,
        folder=run.settings.repo.subdir,
    )
    return StageResult("rejected", failure=failure) if failure else StageResult("passed")


async def judge_change(run: Run, step: RunAttempt, tree: Snapshot) -> StageResult:
    """Let the change gates speak, then the checks that bind."""
    item = item_of(run, step.item)
    assert item is not None
    failure = change_failure(SnapshotView(run, run.accepted), SnapshotView(run, tree), item)
    if failure:
        return StageResult("rejected", failure=failure)
    names = [check.name for check in run.settings.checks]
    results = await run_checks(run, tree, names, selection(run, item, step.number))
    red = [result for result in results if result.binds and not result.green]
    return StageResult("red", failure=red_failure(run, red)) if red else StageResult("passed")


async def recheck(run: Run, step: RunRecheck) -> None:
    """Run an item's checks once more on its last tree that passed every gate."""
    item = item_of(run, step.item)
    assert item is not None
    attempt = next(a for a in reversed(run.state.of("coder", step.item)) if a.reusable)
    chosen = selection(run, item, attempt.number)
    again = Selection("recheck", chosen.item, chosen.attempt, chosen.focus, chosen.named, chosen.deleted)
    await run_checks(run, run.recall(attempt.change), step.checks, again)


def selection(run: Run, item: WorkItem, attempt: int) -> Selection:
    """Return what judges an item: the focus, or all checks for the last item and every review's."""
    everything = judged_by_all_checks(run.state, item.id)
    named = named_tests(run, item)
    return Selection(
        phase="final" if everything else "focus",
        item=item.id,
        attempt=attempt,
        focus=None if everything or not item.tests else named,
        named=named,
        deleted=deleted_tests([*run.state.done, item]),
    )


def red_failure(run: Run, red: Sequence[CheckFinished]) -> Failure:
    """Return the structured failure of red checks."""
    names = ", ".join(result.name for result in red)
    output = "\n".join(
        run.journal.get(result.output).decode(errors="replace") for result in red if result.output is not None
    )
    return Failure(
        kind="checks",
        code=f"{names}: {', '.join(result.outcome for result in red)}",
        message="; ".join(f"{result.name}: {result.reason}" for result in red),
        tests=tuple(dict.fromkeys(test for result in red for test in result.red)),
        excerpt=excerpt(output, EXCERPT_CHARACTERS),
    )
