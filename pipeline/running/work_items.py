"""The unit an attempt works on: an item of the manifest in force, or the one a review made."""

from pipeline.running.run import Run
from pipeline.state import RunState, is_review
from stages.artifacts import FileChange, Finding, WorkItem


def item_of(run: Run, item: str | None) -> WorkItem | None:
    """Return a work item of the manifest in force, or the one a review made."""
    manifest = run.state.manifest
    if item is None or manifest is None:
        return None
    if is_review(item):
        return _review_item(run.state, item)
    return next((entry for entry in manifest.work_items if entry.id == item), None)


def _review_item(state: RunState, item: str) -> WorkItem:
    assert state.manifest is not None
    number = int(item.rpartition("-")[2])
    review = state.reviews[number - 1].review
    findings = review.findings if review else ()
    files: dict[str, FileChange] = {}
    entries = (*state.done, *state.manifest.work_items)
    for entry in entries:
        files |= {change.path: change for change in entry.files}
    return WorkItem(
        id=item,
        title=f"Findings of review {number}",
        files=tuple(files.values()),
        instructions="Resolve every finding of the review:\n" + "\n".join(_finding_line(f) for f in findings),
        tests=tuple(dict.fromkeys(test for entry in entries for test in entry.tests)),
    )


def _finding_line(finding: Finding) -> str:
    place = f"{finding.path}:{finding.line}" if finding.path and finding.line else finding.path or "everywhere"
    return f"- [{finding.severity}] {place}: {finding.message}"


def named_tests(run: Run, item: WorkItem) -> tuple[str, ...]:
    """Return the tests named by an item and the accepted ones, those of an earlier manifest included."""
    return tuple(dict.fromkeys(test for entry in (*run.state.done, item) for test in entry.tests))
