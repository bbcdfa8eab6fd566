"""What the Debugger is shown of an exhausted stage: failures, test files, output and code, nobody's reasoning."""

from collections.abc import Sequence

from pipeline.events import AttemptEnded, CheckFinished
from pipeline.judging.checks import CheckRun
from pipeline.running.run import Run
from pipeline.running.views import SnapshotView, diff_of
from pipeline.running.work_items import item_of, named_tests
from pipeline.steps import RunAttempt
from stages.contract import Evidence
from stages.excerpt import excerpt

TEST_FILE_LIMIT = 20_000
OUTPUT_LIMIT = 30_000


def evidence(run: Run, step: RunAttempt) -> Evidence:
    """Return what a Debugger attempt may look at."""
    assert step.case is not None
    attempts = run.state.of(step.case, step.item)
    last = attempts[-1]
    diffs = [diff_of(run, attempt) for attempt in attempts if attempt.change]
    return Evidence(
        stage=step.case,
        failures=[attempt.failure for attempt in attempts if attempt.failure],
        test_files=_test_files(run, step, last),
        last_output=excerpt(_last_output(run, step), OUTPUT_LIMIT),
        last_diff=diffs[-1] if diffs else "",
        earlier_diffs=diffs[:-1],
    )


def _test_files(run: Run, step: RunAttempt, last: AttemptEnded) -> dict[str, str]:
    item = item_of(run, step.item)
    if item is None:
        return {}
    view = SnapshotView(run, run.recall(last.change) if last.change else run.accepted)
    paths = dict.fromkeys(test.partition("::")[0] for test in named_tests(run, item))
    contents = {path: view.read(path) for path in paths}
    return {
        path: excerpt(content.decode(errors="replace"), TEST_FILE_LIMIT)
        for path, content in contents.items()
        if content
    }


def _last_output(run: Run, step: RunAttempt) -> str:
    if step.item is None:
        return ""
    outputs: Sequence[str] = [
        _output_of(run, stored.event)
        for stored in run.journal.events()
        if isinstance(stored.event, CheckFinished) and stored.event.item == step.item and not stored.event.green
    ]
    return outputs[-1] if outputs else ""


def _output_of(run: Run, event: CheckFinished) -> str:
    output = run.journal.get(event.output) if event.output else b""
    if event.tests is None:
        return output.decode(errors="replace")
    failing = [case for case in CheckRun.load(run.journal.get(event.tests)).cases if case.status in ("failed", "error")]
    lines = "\n".join(f"{case.id}: {case.message}" for case in failing)
    return f"{output.decode(errors='replace')}\n{lines}".strip()
