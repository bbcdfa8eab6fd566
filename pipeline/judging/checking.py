"""Run the user's checks on a tree, each in a clean container, and judge them against the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config.settings import CheckSettings
from pipeline.errors import InfrastructureError
from pipeline.events import CheckFinished, CheckPhase
from pipeline.judging.checks import CheckRun, run_check
from pipeline.judging.verdict import Verdict, binds, judge, share
from pipeline.running.conditions import conditions
from pipeline.running.project_folder import seen_from
from pipeline.running.run import Run
from pipeline.running.workspace import SandboxLostTwiceError, open_workspace
from sandbox.base import SandboxLostError, Snapshot


@dataclass(frozen=True, slots=True)
class Selection:
    """What to run and how to judge it. `focus` are the tests to select, None for whole checks."""

    phase: CheckPhase
    item: str | None = None
    attempt: int | None = None
    focus: Sequence[str] | None = None
    named: Sequence[str] = ()
    deleted: frozenset[str] = frozenset()


async def run_baseline(run: Run, names: Sequence[str]) -> None:
    """Record how these checks do on the untouched base."""
    for check in _named(run, names):
        result = await _run_clean(run, check, Snapshot(), "baseline", None)
        binding = binds(result)
        reason = "" if binding else f"{result.outcome} at base: binds nothing"
        verdict = Verdict(green=result.outcome == "passed", red=(), reason=reason)
        _record(run, Selection("baseline"), result, verdict, binding=binding)


async def run_checks(run: Run, tree: Snapshot, names: Sequence[str], selection: Selection) -> list[CheckFinished]:
    """Run checks on a tree, record each, and return the records.

    They are judged when all have run: a named test that one of them knows is not missing from the others.
    """
    results = [await _run_clean(run, check, tree, selection.phase, selection.focus) for check in _named(run, names)]
    folder = run.settings.repo.subdir
    deleted = frozenset(seen_from(folder, selection.deleted))
    records = []
    for result, named in zip(results, share(seen_from(folder, selection.named), results), strict=True):
        baseline = run.state.baseline[result.name]
        assert baseline.tests is not None
        before = CheckRun.load(run.journal.get(baseline.tests))
        verdict = judge(before, result, named=named, deleted=deleted)
        records.append(_record(run, selection, result, verdict, binding=baseline.binds))
    return records


def _named(run: Run, names: Sequence[str]) -> list[CheckSettings]:
    return [check for check in run.settings.checks if check.name in names]


async def _run_clean(
    run: Run, check: CheckSettings, tree: Snapshot, phase: CheckPhase, focus: Sequence[str] | None
) -> CheckRun:
    folder = run.settings.repo.subdir
    tests = seen_from(folder, focus) if focus is not None else None
    try:
        async with open_workspace(run, f"check {check.name} ({phase})", tree) as sandbox:
            try:
                return await run_check(check, sandbox, tests=tests, folder=folder)
            except SandboxLostError:
                # The whole check again: the folder of its report went with the container.
                return await run_check(check, sandbox, tests=tests, folder=folder)
    except SandboxLostTwiceError as error:
        raise InfrastructureError(f"check {check.name} lost its sandbox twice: {error}") from error


def _record(run: Run, selection: Selection, result: CheckRun, verdict: Verdict, *, binding: bool) -> CheckFinished:
    event = CheckFinished(
        phase=selection.phase,
        name=result.name,
        outcome=result.outcome,
        green=verdict.green,
        binds=binding,
        item=selection.item,
        attempt=selection.attempt,
        exit_code=result.exit_code,
        passed=sum(case.status == "passed" for case in result.cases),
        failed=sum(case.status in ("failed", "error") for case in result.cases),
        red=verdict.red,
        reason=verdict.reason,
        tests=run.journal.put(result.dump()),
        output=run.journal.put(result.output),
        seconds=round(result.seconds, 3),
        conditions=next(conditions(run.settings, check) for check in _named(run, [result.name])),
    )
    run.journal.append(event)
    return event
