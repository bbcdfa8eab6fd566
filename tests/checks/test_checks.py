"""A check's outcome comes from exit code and report together; pytest itself is what is run here."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from pipeline.config.settings import CheckSettings
from pipeline.events import CheckOutcome
from pipeline.judging.checks import CheckRun, run_check
from sandbox.base import EMPTY, KEEP_BYTES, BaseTree, ExecResult, Sandbox, Snapshot
from tests.fakes.directory_sandbox import DirectorySandbox, directory_sandbox
from tests.sandbox.trees import make_base

pytestmark = pytest.mark.anyio
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider -p no:anyio"
RUN = f"{PYTEST} --junitxml=$REPORT"
OK = b"def test_ok():\n    assert True\n\ndef test_more():\n    assert True\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseTree:
    return make_base(tmp_path_factory.mktemp("repository"), {"README.md": b"x\n"})


@pytest.fixture
async def box(base: BaseTree) -> AsyncIterator[DirectorySandbox]:
    async with directory_sandbox(base) as sandbox:
        yield sandbox


def check(run: str = RUN, *, focus: str | None = None, timeout: float = 60, report: bool = True) -> CheckSettings:
    return CheckSettings(name="tests", run=run, timeout=timeout, report="junit" if report else None, focus=focus)


SUITES: list[tuple[str, dict[str, bytes], CheckOutcome, int]] = [
    ("passing", {"test_a.py": OK}, "passed", 0),
    ("failing", {"test_a.py": OK, "test_b.py": b"def test_b():\n    assert 0\n"}, "failed", 1),
    ("without tests", {"test_a.py": b"x = 1\n"}, "no_tests", 5),
    ("all skipped", {"test_a.py": b"import pytest\n\n@pytest.mark.skip\ndef test_a(): ...\n"}, "no_tests", 0),
    ("broken import", {"test_a.py": OK, "test_b.py": b"import nowhere\n"}, "collection_error", 2),
    ("broken conftest", {"conftest.py": b"import nowhere\n", "test_a.py": OK}, "collection_error", 4),
    ("syntax error", {"test_a.py": b"def test_a(:\n"}, "collection_error", 2),
    ("failing fixture", {"test_a.py": b"def test_a(nowhere): ...\n"}, "failed", 1),
]


@pytest.mark.parametrize(("files", "outcome", "exit_code"), [row[1:] for row in SUITES], ids=[row[0] for row in SUITES])
async def test_what_pytest_does_is_told_apart(
    box: DirectorySandbox, files: dict[str, bytes], outcome: CheckOutcome, exit_code: int
) -> None:
    for path, content in files.items():
        await box.write(path, content)
    run = await run_check(check(), box, tests=None)
    assert (run.outcome, run.exit_code) == (outcome, exit_code), run.output.decode()


FAILED = "echo '<testsuite><testcase name=\"t\"><failure/></testcase></testsuite>' > $REPORT"
PASSED = "echo '<testsuite><testcase name=\"t\"/></testsuite>' > $REPORT"
COMMANDS: list[tuple[str, CheckSettings, CheckOutcome]] = [
    ("a command that is not there", check("no-such-command"), "infrastructure"),
    ("a file that cannot be executed", check("./README.md"), "infrastructure"),
    ("no report", check("true"), "infrastructure"),
    ("an unreadable report", check("echo '<html/>' > $REPORT"), "infrastructure"),
    ("a build that breaks before the tests", check("exit 3"), "collection_error"),
    ("no tests and no report", check("exit 5"), "no_tests"),
    ("time", check("sleep 60", timeout=0.2), "timed_out"),
    ("killed", check("kill -9 $$"), "collection_error"),
    ("failing tests behind `|| true`", check(f"{FAILED} || true"), "failed"),
    ("a threshold after passing tests", check(f"{PASSED}; exit 1"), "failed"),
    ("exit 0", check("echo fine", report=False), "passed"),
    ("exit 1", check("exit 1", report=False), "failed"),
    ("not found, no report wanted", check("no-such-command", report=False), "infrastructure"),
    ("time, no report wanted", check("sleep 60", timeout=0.2, report=False), "timed_out"),
]


@pytest.mark.parametrize(("settings", "outcome"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
async def test_what_a_command_does_is_told_apart(
    box: DirectorySandbox, settings: CheckSettings, outcome: CheckOutcome
) -> None:
    run = await run_check(settings, box, tests=None)
    assert run.outcome == outcome, run


class Ended:
    """A sandbox whose check command ends as given; housekeeping works."""

    def __init__(self, box: Sandbox, result: ExecResult) -> None:
        self._box = box
        self._result = result

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as in Sandbox.exec
        stdin: bytes = b"",
        env: Mapping[str, str] = EMPTY,
        merge_output: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> ExecResult:
        if argv[0] == "sh":
            return self._result
        return await self._box.exec(argv, timeout=timeout, stdin=stdin, env=env, keep_bytes=keep_bytes)

    async def read(self, path: str, *, limit: int) -> bytes:
        return await self._box.read(path, limit=limit)

    async def write(self, path: str, content: bytes) -> None:
        await self._box.write(path, content)

    async def snapshot(self) -> Snapshot:
        return await self._box.snapshot()

    async def restore(self, snapshot: Snapshot) -> None:
        await self._box.restore(snapshot)


@pytest.mark.parametrize("report", [True, False])
@pytest.mark.parametrize("exit_code", [None, 1, 137])
async def test_running_out_of_memory_is_no_verdict_on_the_change(
    box: DirectorySandbox, exit_code: int | None, *, report: bool
) -> None:
    killed = Ended(box, ExecResult(exit_code=exit_code, stdout=b"", stderr=b"", seconds=1.0, oom=True))
    run = await run_check(check(report=report), killed, tests=None)
    assert run.outcome == "infrastructure"
    assert "the sandbox ran out of memory" in run.detail


async def test_a_child_that_ran_out_of_memory_in_a_passing_check_changes_nothing(box: DirectorySandbox) -> None:
    fine = Ended(box, ExecResult(exit_code=0, stdout=b"", stderr=b"", seconds=1.0, oom=True))
    assert (await run_check(check(report=False), fine, tests=None)).outcome == "passed"


async def test_a_selected_test_that_does_not_exist_is_no_test(box: DirectorySandbox) -> None:
    await box.write("tests/test_a.py", OK)
    focus = f"{PYTEST} {{tests}} --junitxml=$REPORT"
    for missing in ("tests/test_a.py::test_nowhere", "tests/test_nowhere.py"):
        run = await run_check(check(focus=focus), box, tests=[missing])
        assert (run.outcome, run.exit_code) == ("no_tests", 4), run


async def test_a_check_runs_where_the_files_are_and_leaves_no_report_behind(box: DirectorySandbox) -> None:
    run = await run_check(check("ls README.md; echo $REPORT; echo '<testsuites/>' > $REPORT"), box, tests=None)
    assert run.output.decode().startswith("README.md\n/tmp/")
    where = run.output.decode().splitlines()[1].rpartition("/")[0]
    assert (await box.exec(["ls", where], timeout=10)).exit_code != 0
    assert await box.snapshot() == Snapshot()


async def test_two_runs_never_share_a_report(box: DirectorySandbox) -> None:
    runs = [await run_check(check("echo $REPORT"), box, tests=None) for _ in range(2)]
    assert runs[0].output != runs[1].output
    assert [run.outcome for run in runs] == ["infrastructure", "infrastructure"]


async def test_both_streams_are_kept_in_order(box: DirectorySandbox) -> None:
    run = await run_check(check("echo one; echo two >&2; echo three", report=False), box, tests=None)
    assert run.output == b"one\ntwo\nthree\n"


async def test_a_focused_check_runs_the_selected_tests_alone(box: DirectorySandbox) -> None:
    await box.write("tests/test_a.py", OK)
    focus = f"{PYTEST} {{tests}} --junitxml=$REPORT"
    run = await run_check(check(focus=focus), box, tests=["tests/test_a.py::test_more"])
    assert [case.id for case in run.cases] == ["tests.test_a::test_more"]
    assert (run.focused, run.selected) == (True, ("tests/test_a.py::test_more",))


async def test_selectors_reach_the_command_as_words_whatever_is_in_them(box: DirectorySandbox) -> None:
    nasty = ["a b.py::test[x; rm -rf y]", "$(touch pwned)", "it's"]
    run = await run_check(check("false", focus="printf '%s\\n' {tests}", report=False), box, tests=nasty)
    assert run.output.decode().splitlines() == nasty
    assert await box.snapshot() == Snapshot()


@pytest.mark.parametrize(("tests", "focus"), [(None, "echo focus"), ((), "echo focus"), (("a",), None)])
async def test_without_tests_or_without_a_focus_command_the_whole_check_runs(
    box: DirectorySandbox, tests: Sequence[str] | None, focus: str | None
) -> None:
    run = await run_check(check("echo whole", focus=focus, report=False), box, tests=tests)
    assert (run.output, run.focused, run.selected) == (b"whole\n", False, ())


async def test_a_run_survives_the_journal_with_output_that_is_no_text(box: DirectorySandbox) -> None:
    await box.write("test_a.py", OK)
    run = await run_check(check(f"printf '\\377\\000'; {RUN}"), box, tests=None)
    assert run.output.startswith(b"\xff\x00")
    assert len(run.cases) == 2
    assert CheckRun.load(run.dump()) == run
