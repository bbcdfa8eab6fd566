"""One row for each sentence of the rule on green checks."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import CheckOutcome
from pipeline.judging.checks import CheckRun
from pipeline.judging.junit import CaseStatus, TestCase
from pipeline.judging.verdict import Verdict, binds, deleted_tests, judge, share
from stages.artifacts import FileChange, SymbolChange, WorkItem

BROKEN = "tests.test_new"  # what pytest reports for a file it cannot collect
STATUS: dict[str, CaseStatus] = {"+": "passed", "-": "failed", "!": "error", "~": "skipped"}


def cases(*words: str) -> tuple[TestCase, ...]:
    """`+a` passed, `-a` failed, `~a` skipped, `!a` error; of `tests/test_x.py` unless it has a module."""
    found = []
    for word in words:
        module, _, name = word[1:].rpartition("::")
        classname = module or "tests.test_x"
        found.append(
            TestCase(id=f"{classname}::{name}", classname=classname, name=name, file=None, status=STATUS[word[0]])
        )
    return tuple(found)


def uncollected(name: str = BROKEN) -> TestCase:
    return TestCase(id=name, classname="", name=name, file=None, status="error", message="collection failure\nx")


def run(
    *found: TestCase,
    outcome: CheckOutcome | None = None,
    exit_code: int | None = None,
    selected: Sequence[str] = (),
    has_report: bool = True,
) -> CheckRun:
    bad = any(case.status in ("failed", "error") for case in found)
    guess: CheckOutcome = "failed" if bad else "passed" if found else "no_tests"
    return CheckRun(
        name="tests",
        outcome=outcome or guess,
        exit_code=(1 if bad else 0) if exit_code is None else exit_code,
        cases=found,
        reports=True,
        has_report=has_report,
        focused=bool(selected),
        selected=tuple(selected),
    )


def seen(words: str, **facts: Any) -> CheckRun:
    return run(*(uncollected() if word == "!BROKEN" else cases(word)[0] for word in words.split()), **facts)


def plain(exit_code: int, outcome: CheckOutcome | None = None) -> CheckRun:
    return CheckRun(name="lint", outcome=outcome or ("failed" if exit_code else "passed"), exit_code=exit_code)


BASE = run(*cases("+a", "+b", "-old", "~later"))
X = "tests/test_x.py"
Row = tuple[str, CheckRun, CheckRun, dict[str, Any], tuple[str, ...]]
FAIL: dict[str, Any] = {"exit_code": 1, "outcome": "failed"}
ROWS: list[Row] = [
    ("all as before", BASE, BASE, {}, ()),
    ("more pass than before", BASE, seen("+a +b +old +later +new"), {}, ()),
    ("a test that passed at base fails", BASE, seen("-a +b -old"), {}, ("a",)),
    ("a test that passed at base has an error", BASE, seen("!a +b"), {}, ("a",)),
    ("a test that passed at base vanished", BASE, seen("+b -old"), {}, ("a",)),
    ("a test that passed at base is skipped now", BASE, seen("~a +b"), {}, ("a",)),
    ("a vanished test whose file the manifest deletes", BASE, seen("+tests.test_y::n"), {"deleted": {X}}, ()),
    ("a vanished test the manifest removes", BASE, seen("+b"), {"deleted": {f"{X}::a"}}, ()),
    ("another file is deleted", BASE, seen("+b"), {"deleted": {"tests/test_xy.py"}}, ("a",)),
    ("a red test of base vanished", BASE, seen("+a +b"), {}, ()),
    ("a new test fails", BASE, seen("+a +b -new"), {}, ("new",)),
    ("a new test has an error", BASE, seen("+a +b !new"), {}, ("new",)),
    ("a new test is skipped", BASE, seen("+a +b ~new"), {}, ()),
    ("a test skipped at base runs now and fails", BASE, seen("+a +b -later"), {}, ("later",)),
    ("a test red at base stays red", BASE, seen("+a +b -old"), {}, ()),
    ("a test red at base stays red but is named", BASE, BASE, {"named": [f"{X}::old"]}, ("old",)),
    ("a named test passes", BASE, seen("+a +b +old"), {"named": [f"{X}::old"]}, ()),
    ("a named test does not exist", BASE, BASE, {"named": [f"{X}::nowhere"]}, (f"{X}::nowhere",)),
    ("a named test is skipped", BASE, seen("+a +b ~new"), {"named": [f"{X}::new"]}, ("new",)),
    (
        "one parameter of a named test fails",
        BASE,
        seen("+a +b +n[1] -n[2]"),
        {"named": [f"{X}::n"]},
        ("n[2]",),
    ),
    ("all parameters of a named test pass", BASE, seen("+a +b +n[1] +n[2]"), {"named": [f"{X}::n"]}, ()),
    ("a parameter skipped at base stays so", seen("~n[1] +n[2]"), seen("~n[1] +n[2]"), {"named": [f"{X}::n"]}, ()),
    ("a parameter is skipped only now", seen("-n[1] +n[2]"), seen("~n[1] +n[2]"), {"named": [f"{X}::n"]}, ("n[1]",)),
    (
        "a named class is red in one test",
        seen("-tests.test_x.T::a"),
        seen("+tests.test_x.T::a -tests.test_x.T::n"),
        {"named": [f"{X}::T"]},
        ("tests.test_x.T::n",),
    ),
    ("a bare path asks for nothing", BASE, BASE, {"named": ["tests/nowhere.py", X]}, ()),
    ("no test ran", run(outcome="no_tests"), run(outcome="no_tests"), {}, ("tests: no_tests",)),
    ("skipped tests do not count as run", seen("~a"), seen("~a"), {}, ("tests: no_tests",)),
    ("there were no tests at base and one passes now", run(outcome="no_tests"), seen("+new"), {}, ()),
    (
        "a file cannot be collected",
        BASE,
        seen("!BROKEN", outcome="collection_error", exit_code=2),
        {},
        (BROKEN, "tests: no_tests"),
    ),
    (
        "a file that could not be collected at base passes",
        seen("!BROKEN", outcome="collection_error"),
        seen("+tests.test_new::a"),
        {},
        (),
    ),
    ("it could not be collected at base and the others pass", seen("!BROKEN +a"), seen("!BROKEN +a"), {}, ()),
    ("it could not be collected at base and another vanished", seen("!BROKEN +a +b"), seen("!BROKEN +a"), {}, ("b",)),
    ("it could not be collected at base and nothing runs", seen("!BROKEN"), seen("!BROKEN"), {}, ("tests: no_tests",)),
    ("time is up", BASE, run(outcome="timed_out", has_report=False), {}, ("tests: timed_out",)),
    ("time is up after a report", BASE, run(*BASE.cases, outcome="timed_out"), {}, ("tests: timed_out",)),
    ("the sandbox failed", BASE, run(outcome="infrastructure", has_report=False), {}, ("tests: infrastructure",)),
    (
        "the report is gone",
        BASE,
        run(outcome="collection_error", has_report=False, exit_code=4),
        {},
        ("tests: collection_error",),
    ),
    ("exit code 1 though no test failed", seen("+a"), seen("+a", **FAIL), {}, ("tests: exit_code",)),
    ("the same at base already", seen("+a", **FAIL), seen("+a", **FAIL), {}, ()),
    ("the same in a focused run", seen("+a"), seen("+a", **FAIL, selected=[X]), {}, ()),
    ("a focused run leaves other files out", BASE, seen("+tests.test_y::n", selected=["tests/test_y.py"]), {}, ()),
    ("a focused run of the file misses a test of it", BASE, seen("+a", selected=[X]), {}, ("b",)),
    ("a focused run of the folder misses a test of it", BASE, seen("+a", selected=["tests"]), {}, ("b",)),
    ("a focused run of one test leaves the others out", BASE, seen("+a", selected=[f"{X}::a"]), {}, ()),
    ("a focused run breaks a test", BASE, seen("-a", selected=[f"{X}::a"]), {}, ("a",)),
    (
        "a focused run ran nothing",
        BASE,
        run(outcome="no_tests", exit_code=5, selected=[X]),
        {"deleted": {X}},
        ("tests: no_tests",),
    ),
    ("an id comes twice and fails once", seen("+a +a"), seen("+a -a"), {}, ("a",)),
    ("an id came twice at base and failed once", seen("+a -a +b"), seen("-a +b"), {}, ()),
    ("no report: exit 0", plain(0), plain(0), {}, ()),
    ("no report: exit 1", plain(0), plain(1), {}, ("lint",)),
    ("no report: time is up", plain(0), plain(0, "timed_out"), {}, ("lint: timed_out",)),
    ("no report: red at base already", plain(1), plain(1), {}, ()),
    ("no report: named tests are for checks that report", plain(0), plain(0), {"named": [f"{X}::a"]}, ()),
]


@pytest.mark.parametrize(("baseline", "now", "rule", "red"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_check_is_green_or_names_what_is_red(
    baseline: CheckRun, now: CheckRun, rule: dict[str, Any], red: tuple[str, ...]
) -> None:
    verdict = judge(baseline, now, named=rule.get("named", ()), deleted=frozenset(rule.get("deleted", ())))
    shown = tuple(test.removeprefix("tests.test_x::") for test in verdict.red)
    assert sorted(shown) == sorted(red), verdict
    assert verdict.green == (not red)
    assert verdict.reason
    assert "\n" not in verdict.reason


@pytest.mark.parametrize(
    ("baseline", "binding"),
    [
        (run(*cases("+a")), True),
        (run(*cases("-a")), True),
        (run(outcome="no_tests"), True),
        (run(uncollected(), outcome="collection_error"), True),
        (run(outcome="collection_error", has_report=False), False),
        (run(outcome="infrastructure", has_report=False), False),
        (run(outcome="timed_out", has_report=False), False),
        (plain(0), True),
        (plain(1), False),
        (plain(0, "timed_out"), False),
    ],
)
def test_a_check_binds_if_its_baseline_can_be_compared_with(baseline: CheckRun, *, binding: bool) -> None:
    assert binds(baseline) is binding


def test_the_reason_of_a_check_that_binds_nothing_says_so() -> None:
    assert judge(plain(1), plain(1), named=(), deleted=frozenset()) == Verdict(
        green=True, red=(), reason="failed at base already, so it binds nothing"
    )


def test_a_reason_names_a_few_tests_and_counts_the_rest() -> None:
    now = run(*cases("+a", "+b", *(f"-n{number}" for number in range(7))))
    assert judge(BASE, now, named=(), deleted=frozenset()).reason.endswith("tests.test_x::n4 and 2 more")


def test_the_order_of_a_report_does_not_change_the_red_tests() -> None:
    now = [*cases("-a", "-b", "-new")]
    first = judge(BASE, run(*now), named=(), deleted=frozenset())
    assert first.red == judge(BASE, run(*reversed(now)), named=(), deleted=frozenset()).red


def test_thousands_of_red_tests_are_bounded() -> None:
    now = run(*cases(*(f"-n{number}" for number in range(3_000))))
    assert len(judge(BASE, now, named=(), deleted=frozenset()).red) == 200


def test_a_named_test_is_asked_of_the_check_that_knows_it_and_else_of_all() -> None:
    python = run(*cases("+a"))
    web = run(TestCase(id="w::adds", classname="w", name="adds", file="web/a.ts", status="passed"))
    named = [f"{X}::a", "web/a.ts::adds", "web/b.ts::new"]
    assert share(named, [python, web]) == ((f"{X}::a", "web/b.ts::new"), ("web/a.ts::adds", "web/b.ts::new"))


def test_deleted_files_and_removed_symbols_are_selectors() -> None:
    item = WorkItem(
        id="a",
        title="a",
        instructions="a",
        files=(
            FileChange(path="tests/test_old.py", operation="delete"),
            FileChange(path=X, operation="modify", symbols=(SymbolChange(name="T.test_a", operation="remove"),)),
            FileChange(path="tests/test_new.py", operation="create"),
        ),
    )
    assert deleted_tests([item]) == {"tests/test_old.py", f"{X}::T::test_a"}


STATUSES = st.sampled_from("+-!~")
REPORTS = st.dictionaries(st.sampled_from("abcdef"), STATUSES, max_size=6)


@given(before=REPORTS, after=REPORTS)
def test_green_means_nothing_that_passed_is_lost_and_something_ran(
    before: dict[str, str], after: dict[str, str]
) -> None:
    baseline = run(*cases(*(status + name for name, status in before.items())), exit_code=0)
    now = run(*cases(*(status + name for name, status in after.items())), exit_code=0)
    green = judge(baseline, now, named=(), deleted=frozenset()).green
    kept = all(after.get(name) == "+" for name, status in before.items() if status == "+")
    fresh = all(status in "+~" for name, status in after.items() if before.get(name, "~") == "~")
    assert green == (kept and fresh and any(status != "~" for status in after.values()))
