"""Put together what one attempt may see: typed inputs for its stage, never anybody's reasoning."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.checks import CheckRun
from pipeline.events import AttemptEnded, CheckFinished
from pipeline.flow import RunAttempt
from pipeline.repository_map import conventions, repository_map
from pipeline.run import Run
from pipeline.standing import left, settings_of
from pipeline.state import RunState, is_review
from sandbox.base import Sandbox, Snapshot
from stages.artifacts import Failure, FileChange, Finding, WorkItem
from stages.contract import CheckSummary, Evidence, Feedback, Observer, Remaining, StageContext
from stages.excerpt import excerpt
from stages.model import Model
from stages.prompts import prompt

MAP_CHARACTERS = 24_000
TEST_FILE_LIMIT = 20_000
OUTPUT_LIMIT = 30_000


@dataclass(frozen=True, slots=True)
class Tools:
    """The live objects an attempt works with."""

    model: Model
    sandbox: Sandbox
    observer: Observer
    remaining: Remaining
    output_tokens_ceiling: int


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


def system_text(run: Run, step: RunAttempt) -> str:
    """Return the stage's prompt with the user's instructions."""
    instructions = settings_of(run.settings, step.stage).instructions
    text = prompt(step.stage)
    return f"{text}\n\n# Instructions of this repository's owner\n\n{instructions}\n" if instructions else text


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
    for entry in state.manifest.work_items:
        files |= {change.path: change for change in entry.files}
    return WorkItem(
        id=item,
        title=f"Findings of review {number}",
        files=tuple(files.values()),
        instructions="Resolve every finding of the review:\n" + "\n".join(_finding_line(f) for f in findings),
        tests=tuple(dict.fromkeys(test for entry in state.manifest.work_items for test in entry.tests)),
    )


def _finding_line(finding: Finding) -> str:
    place = f"{finding.path}:{finding.line}" if finding.path and finding.line else finding.path or "everywhere"
    return f"- [{finding.severity}] {place}: {finding.message}"


def named_tests(run: Run, item: WorkItem) -> tuple[str, ...]:
    """Return the tests named by an item and the accepted ones."""
    manifest = run.state.manifest
    accepted = [entry for entry in manifest.work_items if entry.id in run.state.accepted] if manifest else []
    return tuple(dict.fromkeys(test for entry in (*accepted, item) for test in entry.tests))


def stage_context(run: Run, step: RunAttempt, start: Snapshot, tools: Tools) -> StageContext:
    """Return the context of an attempt that starts from `start`."""
    state = run.state
    rung = settings_of(run.settings, step.stage).rungs[step.rung - 1]
    item = item_of(run, step.item)
    view = SnapshotView(run, start)
    sees_map = step.stage == "planner"
    sees_conventions = step.stage in ("planner", "coder", "reviewer")
    return StageContext(
        ticket=run.ticket,
        model=tools.model,
        sandbox=tools.sandbox,
        observer=tools.observer,
        system=system_text(run, step),
        max_output_tokens=rung.max_output_tokens,
        output_tokens_ceiling=tools.output_tokens_ceiling,
        remaining=tools.remaining,
        repository_map=repository_map(view, budget_characters=MAP_CHARACTERS) if sees_map else "",
        conventions=conventions(view) if sees_conventions else "",
        manifest=state.manifest,
        accepted=tuple(state.accepted),
        item=item,
        feedback=_feedback(run, step),
        diff=_diff(run, Snapshot(), start) if step.stage == "reviewer" else "",
        checks=_check_summaries(run) if step.stage == "reviewer" else (),
        evidence=_evidence(run, step) if step.stage == "debugger" else None,
        owners=step.owners,
        may_request_scope=left(state, run.settings, "planner", None) > 0,
        progress_required=not state.accepted and not is_review(step.item),
    )


def _feedback(run: Run, step: RunAttempt) -> Feedback:
    state = run.state
    last = state.last(step.stage, step.item)
    failure = _told_failure(step, last)
    if step.stage == "planner" and step.cause == "scope":
        failure = _scope_request(state) or failure
    brief = ""
    if step.cause == "route":
        diagnosis = next((a.diagnosis for a in reversed(state.attempts) if a.diagnosis), None)
        brief = diagnosis.brief if diagnosis else ""
    reviews = [attempt.review for attempt in state.of("reviewer", None) if attempt.review]
    return Feedback(
        failure=failure,
        previous_diff=excerpt(_diff_of(run, last), OUTPUT_LIMIT) if step.stage == "coder" and last else "",
        brief=brief,
        guidance=state.guidance,
        findings=reviews[-1].findings if step.stage == "reviewer" and reviews else (),
    )


def _told_failure(step: RunAttempt, last: AttemptEnded | None) -> Failure | None:
    if last is None or last.outcome == "passed":
        return None
    if last.failure and last.failure.kind == "scope" and step.stage == "coder":
        if step.cause == "replan":
            return None
        return last.failure.model_copy(
            update={"message": f"your request for more scope was refused: {last.failure.message}"}
        )
    return last.failure


def _scope_request(state: RunState) -> Failure | None:
    asked = [a.failure for a in state.attempts if a.stage == "coder" and a.failure and a.failure.kind == "scope"]
    return asked[-1] if asked else None


def _diff_of(run: Run, attempt: AttemptEnded) -> str:
    return _diff(run, run.accepted, run.recall(attempt.change)) if attempt.change else ""


def _diff(run: Run, old: Snapshot, new: Snapshot) -> str:
    """Return a patch as text a model can be sent: what is not UTF-8 in it is replaced."""
    return run.tree.diff(old, new).encode(errors="surrogateescape").decode(errors="replace")


def _check_summaries(run: Run) -> tuple[CheckSummary, ...]:
    newest: dict[str, CheckFinished] = {}
    for stored in run.journal.events():
        if isinstance(stored.event, CheckFinished):
            newest[stored.event.name] = stored.event
    return tuple(
        CheckSummary(e.name, e.outcome, e.green, f"{e.passed} passed, {e.failed} failed. {e.reason}".strip())
        for e in newest.values()
    )


def _evidence(run: Run, step: RunAttempt) -> Evidence:
    assert step.case is not None
    attempts = run.state.of(step.case, step.item)
    last = attempts[-1]
    diffs = [_diff_of(run, attempt) for attempt in attempts if attempt.change]
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
