"""A report is untrusted input: what is in it is read exactly, and nothing else happens."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.junit import LIMIT_BYTES, ReportError, parse

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1" skipped="1" tests="5"><testcase classname="tests.test_x" name="test_ok[a::b]" time="0.001" />
<testcase classname="tests.test_x.TestC" name="test_bad" time="0.1"><failure message="assert 1 == 2">def test_bad():
E   assert 1 == 2</failure></testcase>
<testcase classname="tests.test_x" name="test_skip"><skipped type="pytest.skip" message="later">x</skipped></testcase>
<testcase classname="" name="tests.test_broken"><error message="collection failure">ImportError</error></testcase>
<testcase classname="tests.test_x" name="test_torn"><error message="failed on teardown"/></testcase>
</testsuite></testsuites>"""


def test_pytests_own_report_is_read() -> None:
    cases = parse(PYTEST)
    assert [(case.id, case.status) for case in cases] == [
        ("tests.test_x::test_ok[a::b]", "passed"),
        ("tests.test_x.TestC::test_bad", "failed"),
        ("tests.test_x::test_skip", "skipped"),
        ("tests.test_broken", "error"),
        ("tests.test_x::test_torn", "error"),
    ]
    assert [case.collection_error for case in cases] == [False, False, False, True, False]
    assert cases[1].message == "assert 1 == 2\ndef test_bad():\nE   assert 1 == 2"
    assert cases[0].file is None


def test_a_report_of_another_tool_names_its_files() -> None:
    report = (
        b'<testsuite><properties><property name="a"/></properties><testcase file="./web/a.ts" name="adds"/></testsuite>'
    )
    (case,) = parse(report)
    assert (case.id, case.file, case.status) == ("adds", "./web/a.ts", "passed")


def test_the_worst_of_several_verdicts_counts() -> None:
    report = (
        b'<testsuite><testcase name="t"><skipped/><error message="e"/><failure message="f"/></testcase></testsuite>'
    )
    assert [(case.status, case.message) for case in parse(report)] == [("error", "e")]


def test_output_captured_by_a_test_is_not_taken_for_a_verdict() -> None:
    report = b'<testsuite><testcase name="t"><system-out>failure error</system-out></testcase></testsuite>'
    assert [case.status for case in parse(report)] == ["passed"]


def test_an_objects_address_makes_no_new_test_of_an_old_one() -> None:
    first = parse(b'<testsuite><testcase name="t[&lt;X object at 0x7f0011223344&gt;]"/></testsuite>')
    second = parse(b'<testsuite><testcase name="t[&lt;X object at 0x7f99aabbccdd&gt;]"/></testsuite>')
    assert first == second


BOMB = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (BOMB.encode(), "document type"),
        (BOMB.encode("utf-16"), "document type"),
        (b'<?xml version="1.0"?><!DOCTYPE r SYSTEM "file:///etc/passwd"><testsuite/>', "document type"),
        (b'<testsuite><testcase name="&unknown;"/></testsuite>', "well-formed"),
        (b"", "well-formed"),
        (b"<testsuite><testcase name='cut", "well-formed"),
        (b"\xff\xfe\x00", "well-formed"),
        (b"{}", "well-formed"),
        (b"<html><testcase name='t'/></html>", "no JUnit report"),
        (b"<testsuite>" + b"<a>" * 100 + b"</a>" * 100 + b"</testsuite>", "nests deeper"),
        (b" " * (LIMIT_BYTES + 1), "MiB"),
    ],
)
def test_what_is_no_plain_report_is_refused(report: bytes, reason: str) -> None:
    with pytest.raises(ReportError, match=reason):
        parse(report)


def test_a_report_without_end_is_refused() -> None:
    with pytest.raises(ReportError, match="more than 200000 test cases"):
        parse(b"<testsuite>" + b"<testcase/>" * 200_001 + b"</testsuite>")


def test_long_messages_are_cut() -> None:
    report = (
        b'<testsuite><testcase name="t"><failure message="m">' + b"x" * 1_000_000 + b"</failure></testcase></testsuite>"
    )
    assert len(parse(report)[0].message) <= 2_000


@given(st.binary(max_size=200))
def test_junk_is_refused_in_its_own_words_or_read(junk: bytes) -> None:
    report = b"<testsuite>" + junk + b"</testsuite>"
    with suppress(ReportError):
        assert all(case.id is not None for case in parse(report))
