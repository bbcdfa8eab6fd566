"""Judge a check's run against the one on the untouched base. Pure, and closed where it cannot tell."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.judging.checks import CheckRun
from pipeline.judging.junit import TestCase
from pipeline.judging.selectors import matching, split
from stages.artifacts import Frozen, WorkItem

_NAMED_IN_REASON = 5
_RED = 200


class Verdict(Frozen):
    """Whether a check is green. `red` names at most 200 tests, or the check itself; `reason` is one sentence."""

    green: bool
    red: tuple[str, ...]
    reason: str


class _Finding(NamedTuple):
    what: str
    tests: tuple[str, ...]


def binds(baseline: CheckRun) -> bool:
    """Tell whether a check can decide anything, from its run on the untouched base.

    Without a report it can only if it was green there; with one, if that could be read (no tests yet is fine).
    """
    if not baseline.reports:
        return baseline.outcome == "passed"
    if baseline.outcome == "collection_error":
        return baseline.has_report
    return baseline.outcome in ("passed", "failed", "no_tests")


def judge(baseline: CheckRun, now: CheckRun, *, named: Sequence[str], deleted: frozenset[str]) -> Verdict:
    """Return whether `now` is green.

    `named` are the `path::name` tests that must pass (a bare path asks for nothing), `deleted` the files, or
    tests as `path::name`, that the manifest removes.
    """
    if not binds(baseline):
        return Verdict(green=True, red=(), reason=f"{_words(baseline)} at base already, so it binds nothing")
    if now.outcome in ("timed_out", "infrastructure") or not (now.has_report or not now.reports):
        return Verdict(green=False, red=(f"{now.name}: {now.outcome}",), reason=_stopped(now))
    if not now.reports:
        return _by_exit_code(now)
    findings = [finding for finding in _findings(baseline, now, named, deleted) if finding is not None]
    if findings:
        red = sorted({test for finding in findings for test in finding.tests})
        return Verdict(green=False, red=tuple(red[:_RED]), reason="; ".join(_sentence(finding) for finding in findings))
    return Verdict(green=True, red=(), reason=_success(now))


def deleted_tests(items: Iterable[WorkItem]) -> frozenset[str]:
    """Return what `judge` takes as `deleted`: the files items delete and the symbols they remove, as selectors."""
    files = [file for item in items for file in item.files]
    gone = {file.path for file in files if file.operation == "delete"}
    removed = {
        f"{file.path}::{symbol.name.replace('.', '::')}"
        for file in files
        for symbol in file.symbols
        if symbol.operation == "remove"
    }
    return frozenset(gone | removed)


def share(named: Sequence[str], runs: Sequence[CheckRun]) -> tuple[tuple[str, ...], ...]:
    """Return for each run the named tests it answers for: those it knows, and those that no run knows.

    With several checks that report, a test of one is not missing from the others.
    """
    known = [{test for test in named if matching(test, run.cases)} for run in runs]
    anywhere: set[str] = set().union(*known)
    return tuple(tuple(test for test in named if test in own or test not in anywhere) for own in known)


def _by_exit_code(now: CheckRun) -> Verdict:
    if now.exit_code == 0:
        return Verdict(green=True, red=(), reason="exit code 0")
    return Verdict(green=False, red=(now.name,), reason=f"exit code {now.exit_code}, where the base had 0")


def _findings(
    baseline: CheckRun, now: CheckRun, named: Sequence[str], deleted: frozenset[str]
) -> tuple[_Finding | None, ...]:
    before, after = _by_id(baseline.cases), _by_id(now.cases)
    passed = {test for test, cases in before.items() if _passed(cases)}
    ran = {test for test, cases in before.items() if not _skipped(cases)}
    failing = {test for test, cases in after.items() if _fails(cases)}
    missing = _missing(baseline, now, deleted) & passed
    uncollected = {case.id for case in now.cases if case.collection_error} - ran
    return (
        _finding("cannot be collected", uncollected),
        _finding("passed at base and now fail", failing & passed),
        # When a file cannot be collected nothing else may have run either: that is one finding, not thousands.
        _finding("passed at base and did not run", set() if uncollected else missing),
        _finding("are new and fail", failing - ran - uncollected),
        _finding("are named by the manifest and do not pass", _named_red(named, before, now)),
        None if any(_is_run(case) for case in now.cases) else _Finding("no test ran", (f"{now.name}: no_tests",)),
        _unexplained(baseline, now, failing),
    )


def _missing(baseline: CheckRun, now: CheckRun, deleted: frozenset[str]) -> set[str]:
    """Return the tests of the base that should have run and did not, whatever they were."""
    after = _by_id(now.cases)
    expected = baseline.cases
    if now.focused:
        chosen = [case for selector in now.selected for case in matching(selector, baseline.cases)]
        expected = tuple(chosen)
    gone = {case.id for selector in deleted for case in matching(selector, baseline.cases)}
    return {case.id for case in expected if case.id not in after or _skipped(after[case.id])} - gone


def _named_red(named: Sequence[str], before: dict[str, list[TestCase]], now: CheckRun) -> set[str]:
    skipped = {test for test, cases in before.items() if _skipped(cases)}
    red: set[str] = set()
    for selector in named:
        if not split(selector)[1]:
            continue
        found = matching(selector, now.cases)
        # A parameter that was skipped at base may stay so; a skip that is new is no pass.
        excused = [case for case in found if case.status == "skipped" and case.id in skipped]
        wrong = [case for case in found if case.status != "passed" and case not in excused]
        if wrong or len(found) == len(excused):
            red |= {case.id for case in wrong} or {selector}
    return red


def _unexplained(baseline: CheckRun, now: CheckRun, failing: set[str]) -> _Finding | None:
    # A crash at the end or a missed coverage threshold; a focused run misses a threshold by its nature.
    if now.focused or failing or now.exit_code == 0 or baseline.exit_code != 0:
        return None
    return _Finding(f"exit code {now.exit_code} although no test failed", (f"{now.name}: exit_code",))


def _by_id(cases: Iterable[TestCase]) -> dict[str, list[TestCase]]:
    found: dict[str, list[TestCase]] = {}
    for case in cases:
        found.setdefault(case.id, []).append(case)
    return found


def _passed(cases: Sequence[TestCase]) -> bool:
    # An id that comes twice (a rerun, equal names) passed only if it did each time.
    return all(case.status == "passed" for case in cases)


def _skipped(cases: Sequence[TestCase]) -> bool:
    return all(case.status == "skipped" for case in cases)


def _fails(cases: Sequence[TestCase]) -> bool:
    return any(case.status in ("failed", "error") for case in cases)


def _is_run(case: TestCase) -> bool:
    return case.status != "skipped" and not case.collection_error


def _finding(what: str, tests: set[str]) -> _Finding | None:
    return _Finding(what, tuple(sorted(tests))) if tests else None


def _sentence(finding: _Finding) -> str:
    if finding.what.startswith(("no test", "exit code")):
        return finding.what
    shown = ", ".join(finding.tests[:_NAMED_IN_REASON])
    more = len(finding.tests) - _NAMED_IN_REASON
    return f"{len(finding.tests)} {finding.what}: {shown}" + (f" and {more} more" if more > 0 else "")


def _success(now: CheckRun) -> str:
    passed = sum(case.status == "passed" for case in now.cases)
    red = sum(case.status in ("failed", "error") for case in now.cases)
    return f"{passed} passed" + (f", {red} red at base stay red" if red else "")


def _stopped(now: CheckRun) -> str:
    return f"{_words(now)} (exit code {now.exit_code})" + (f": {now.detail}" if now.detail else "")


def _words(run: CheckRun) -> str:
    return run.outcome.replace("_", " ")
