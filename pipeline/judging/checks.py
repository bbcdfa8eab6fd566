"""Run one of the user's checks in a sandbox and say which of six outcomes it had, from exit code and report."""

import shlex
from collections.abc import Mapping, Sequence

from pydantic import ConfigDict

from pipeline.config.settings import CheckSettings
from pipeline.events import CheckOutcome
from pipeline.judging.junit import LIMIT_BYTES, ReportError, TestCase, parse
from sandbox.base import ExecResult, Sandbox
from sandbox.folder import in_folder
from stages.artifacts import Frozen

OUTPUT_BYTES = 1 << 20
_HOUSEKEEPING_SECONDS = 30.0
_NOT_FOUND = (126, 127)
_NOTHING_COLLECTED = (0, 4, 5)


class CheckRun(Frozen):
    """What a check did.

    `reports` says that the check is to write a report, `has_report` that a readable one came, with its `cases`.
    `selected` are the tests it was focused on. `output` keeps the head and the tail of a long one.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    name: str
    outcome: CheckOutcome
    exit_code: int | None
    cases: tuple[TestCase, ...] = ()
    output: bytes = b""
    seconds: float = 0.0
    focused: bool = False
    selected: tuple[str, ...] = ()
    reports: bool = False
    has_report: bool = False
    detail: str = ""

    def dump(self) -> bytes:
        """Return the run as JSON for the journal."""
        return self.model_dump_json().encode()

    @classmethod
    def load(cls, data: bytes) -> "CheckRun":
        """Return a run that was dumped."""
        return cls.model_validate_json(data)


async def run_check(
    check: CheckSettings, sandbox: Sandbox, *, tests: Sequence[str] | None, folder: str = ""
) -> CheckRun:
    """Run a check in the sandbox's work tree; with `tests` and a `focus` command, on these alone.

    It runs in `folder`, from which `tests` are named too; empty is the root.
    :raises SandboxLostError: the sandbox is gone; whatever else goes wrong is an outcome.
    """
    focused = bool(tests) and check.focus is not None
    selected = tuple(tests or ()) if focused else ()
    argv = in_folder(folder, ["sh", "-c", _command(check, selected)])
    if check.report is None:
        result = await _execute(check, argv, sandbox, {})
        return _check_run(check, result, _without_report(result), selected=selected)
    reports = await _report_folder(sandbox)
    if reports is None:
        problem = "no folder for the report could be made in the sandbox"
        return CheckRun(name=check.name, outcome="infrastructure", exit_code=None, reports=True, detail=problem)
    try:
        result = await _execute(check, argv, sandbox, {"REPORT": f"{reports}/report.xml"})
        report = await _read_report(sandbox, f"{reports}/report.xml")
    finally:
        await sandbox.exec(["rm", "-rf", reports], timeout=_HOUSEKEEPING_SECONDS)
    return _judged(check, result, report, selected)


def _command(check: CheckSettings, selected: Sequence[str]) -> str:
    if not selected or check.focus is None:
        return check.run
    return check.focus.replace("{tests}", shlex.join(selected))


async def _execute(
    check: CheckSettings, command: Sequence[str], sandbox: Sandbox, environment: Mapping[str, str]
) -> ExecResult:
    return await sandbox.exec(
        command, timeout=check.timeout, env=environment, merge_output=True, keep_bytes=OUTPUT_BYTES
    )


async def _report_folder(sandbox: Sandbox) -> str | None:
    # A new folder each time: no report of an earlier run, nor one planted by the code under test, is in it.
    made = await sandbox.exec(["mktemp", "-d", "/tmp/check.XXXXXXXX"], timeout=_HOUSEKEEPING_SECONDS)  # noqa: S108 - inside the sandbox
    return made.stdout.decode(errors="replace").strip() if made.exit_code == 0 else None


async def _read_report(sandbox: Sandbox, path: str) -> bytes | None:
    size = await sandbox.exec(["cat", path], timeout=_HOUSEKEEPING_SECONDS, keep_bytes=LIMIT_BYTES)
    whole = size.exit_code == 0 and size.stdout_bytes <= LIMIT_BYTES
    return size.stdout if whole else None


def _judged(check: CheckSettings, result: ExecResult, report: bytes | None, selected: tuple[str, ...]) -> CheckRun:
    cases: tuple[TestCase, ...] | None = None
    detail = "" if report is not None else "the check wrote no report to $REPORT"
    try:
        cases = parse(report) if report is not None else None
    except ReportError as error:
        detail = str(error)
    outcome = _with_report(result, cases) if cases is not None else _report_missing(result)
    return _check_run(check, result, outcome, cases=cases, selected=selected, detail=detail)


def _check_run(
    check: CheckSettings,
    result: ExecResult,
    outcome: CheckOutcome,
    *,
    cases: tuple[TestCase, ...] | None = None,
    selected: tuple[str, ...] = (),
    detail: str = "",
) -> CheckRun:
    return CheckRun(
        name=check.name,
        outcome=outcome,
        exit_code=result.exit_code,
        cases=cases or (),
        output=result.stdout,
        seconds=result.seconds,
        focused=bool(selected),
        selected=selected,
        reports=check.report is not None,
        has_report=cases is not None,
        detail=_cause_of_death(result) or detail,
    )


def _without_report(result: ExecResult) -> CheckOutcome:
    if early := _ended_early(result):
        return early
    if result.exit_code in _NOT_FOUND:
        return "infrastructure"
    return "passed" if result.exit_code == 0 else "failed"


def _report_missing(result: ExecResult) -> CheckOutcome:
    if early := _ended_early(result):
        return early
    if result.exit_code == 5:
        return "no_tests"
    # Without a report exit 0 proves nothing. A command that ran and failed before its tests (a build, a
    # `conftest.py` that cannot be imported) failed to collect them: mostly the change's doing, not the machine's.
    return "infrastructure" if result.exit_code in (0, *_NOT_FOUND) else "collection_error"


def _with_report(result: ExecResult, cases: Sequence[TestCase]) -> CheckOutcome:
    if early := _ended_early(result):
        return early
    if any(case.collection_error for case in cases) or (result.exit_code == 2 and _any(cases, "error")):
        return "collection_error"
    if _any(cases, "failed", "error"):
        return "failed"
    if not _any(cases, "passed") and result.exit_code in _NOTHING_COLLECTED:
        return "no_tests"
    return "passed" if result.exit_code == 0 else "failed"


def _ended_early(result: ExecResult) -> CheckOutcome | None:
    if result.timed_out:
        return "timed_out"
    if result.exit_code is None or (result.oom and result.exit_code != 0):
        return "infrastructure"
    return None


def _any(cases: Sequence[TestCase], *statuses: str) -> bool:
    return any(case.status in statuses for case in cases)


def _cause_of_death(result: ExecResult) -> str:
    if result.timed_out:
        return "its time was up"
    if result.oom:
        return "the sandbox ran out of memory"
    if result.disk_full:
        return "the work tree grew over its limit (sandbox.disk)"
    return "" if result.exit_code is not None else "it was killed"
