"""Read a JUnit report as untrusted input: no DTD, no entities, bounded, and no tree in memory."""

import re
from typing import ClassVar, Literal
from xml.etree import ElementTree as ET

from stages.artifacts import Frozen

LIMIT_BYTES = 32 << 20
_CASES = 200_000
_MESSAGE_CHARACTERS = 2_000
_DEPTH = 64
CaseStatus = Literal["passed", "failed", "error", "skipped"]
_STATUS: dict[str, CaseStatus] = {"failure": "failed", "error": "error", "skipped": "skipped"}
_WORST: tuple[CaseStatus, ...] = ("error", "failed", "skipped", "passed")


class ReportError(Exception):
    """A report cannot be read: it is data about the check, and the message says what is wrong with it."""


class TestCase(Frozen):
    """One test of a report. `id` is the same in every run of the test; `file` is None where the tool names none."""

    __test__: ClassVar[bool] = False  # pytest takes every class named Test* for its own

    id: str
    classname: str
    name: str
    file: str | None
    status: CaseStatus
    message: str = ""

    @property
    def collection_error(self) -> bool:
        """Tell whether this is no test but a file that could not be collected (as pytest reports it)."""
        return self.status == "error" and self.message.startswith("collection failure")


def parse(report: bytes) -> tuple[TestCase, ...]:
    """Return the tests of a report (pytest's, and whatever else writes `testcase` elements), in its order.

    :raises ReportError: it is no well-formed XML, has a DTD, or is over the limits.
    """
    if len(report) > LIMIT_BYTES:
        raise ReportError(f"the report has more than {LIMIT_BYTES >> 20} MiB")
    collector = _Collector()
    parser = ET.XMLParser(target=collector)  # noqa: S314 - `doctype` below refuses DTDs
    try:
        parser.feed(report)
        parser.close()
    except ET.ParseError as error:
        raise ReportError(f"the report is no well-formed XML: {error}") from error
    if not collector.is_report:
        raise ReportError("the report is no JUnit report: its root is neither testsuites nor testsuite")
    return tuple(collector.cases)


class _Collector:
    """Takes what the parser finds and keeps the test cases."""

    def __init__(self) -> None:
        self.cases: list[TestCase] = []
        self.is_report = False
        self._open: list[str] = []
        self._case: dict[str, str] | None = None
        self._verdicts: list[tuple[CaseStatus, str]] = []
        self._text: list[str] = []

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        """Refuse a DTD before any entity of it can be used, in whatever encoding it comes."""
        raise ReportError("the report has a document type declaration, which no test report needs")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take an opening tag."""
        self._open.append(tag)
        if len(self._open) > _DEPTH:
            raise ReportError(f"the report nests deeper than {_DEPTH} elements")
        if len(self._open) == 1:
            self.is_report = tag in ("testsuites", "testsuite")
        if tag == "testcase" and self._case is None:
            self._case, self._verdicts = attributes, []
        elif tag in _STATUS and self._case is not None:
            self._text = []
            self._verdicts.append((_STATUS[tag], attributes.get("message", "")))

    def data(self, text: str) -> None:
        """Take text; what follows a verdict's tag is its detail."""
        if self._case is not None and self._open[-1] in _STATUS:
            self._text.append(text[:_MESSAGE_CHARACTERS])

    def end(self, tag: str) -> None:
        """Take a closing tag."""
        self._open.pop()
        if tag in _STATUS and self._verdicts:
            status, message = self._verdicts[-1]
            self._verdicts[-1] = (status, "\n".join(filter(None, (message, "".join(self._text)))))
        elif tag == "testcase" and self._case is not None:
            self._finish(self._case)
            self._case = None

    def close(self) -> None:
        """Take the end of the document."""

    def _finish(self, attributes: dict[str, str]) -> None:
        if len(self.cases) == _CASES:
            raise ReportError(f"the report has more than {_CASES} test cases")
        status, message = min(self._verdicts, key=lambda verdict: _WORST.index(verdict[0]), default=("passed", ""))
        classname, name = _clean(attributes.get("classname", "")), _clean(attributes.get("name", ""))
        self.cases.append(
            TestCase(
                id="::".join(filter(None, (classname, name))),
                classname=classname,
                name=name,
                file=attributes.get("file"),
                status=status,
                message=message[:_MESSAGE_CHARACTERS],
            )
        )


def _clean(text: str) -> str:
    # An address of an object differs in every run and would make a new test of an old one.
    return re.sub(r"\bat 0x[0-9a-f]{6,16}\b", "at 0x…", text)
