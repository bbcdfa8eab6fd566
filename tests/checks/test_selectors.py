"""A selector means the tests a reader of it would expect, in pytest's report and in others."""

import pytest

from pipeline.judging.junit import TestCase
from pipeline.judging.selectors import matching, split


def case(identity: str, *, file: str | None = None) -> TestCase:
    classname, _, name = identity.partition("::")
    if not name:
        classname, name = "", classname
    return TestCase(id=identity, classname=classname, name=name, file=file, status="passed")


PYTEST = [
    "tests.test_x::test_a",
    "tests.test_x::test_p[1]",
    "tests.test_x::test_p[a::b]",
    "tests.test_x.TestC::test_a",
    "tests.test_x.TestC.TestInner::test_a",
    "tests.test_xy::test_a",
    "tests.unit.test_x::test_a",
    "tests.test_broken",
]


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("tests/test_x.py::test_a", [0]),
        ("tests/test_x.py::test_p", [1, 2]),
        ("tests/test_x.py::test_p[1]", [1]),
        ("tests/test_x.py::test_p[a::b]", [2]),
        ("tests/test_x.py::TestC::test_a", [3]),
        ("tests/test_x.py::TestC", [3, 4]),
        ("tests/test_x.py::TestC::TestInner::test_a", [4]),
        ("tests/test_x.py::test", []),
        ("tests/test_x.py::TestD::test_a", []),
        ("tests/test_x.py", [0, 1, 2, 3, 4]),
        ("tests", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("tests/unit/", [6]),
        ("tests/test_broken.py", [7]),
        ("tests/test_broken.py::test_a", []),
        ("backend/tests/test_x.py::test_a", [0]),
        ("tests/sub/test_x.py::test_a", []),
        ("test_x.py::test_a", []),
        ("unit/test_x.py::test_a", []),
    ],
)
def test_pytests_dotted_names(selector: str, meant: list[int]) -> None:
    cases = [case(identity) for identity in PYTEST]
    assert matching(selector, cases) == tuple(cases[number] for number in meant)


def test_a_package_of_the_same_folders_below_another_root_is_not_mistaken() -> None:
    cases = [case("tests.test_x::test_a"), case("pkg.tests.test_y::test_a")]
    assert matching("pkg/tests/test_x.py::test_a", cases) == ()


def test_a_file_attribute_decides_where_there_is_one() -> None:
    cases = [
        case("Adder::adds", file="web/adder.test.ts"),
        case("tests.test_x.TestC::test_a", file="tests/test_x.py"),
        case("whole file", file="./web/other.test.ts"),
    ]
    assert matching("web/adder.test.ts::adds", cases) == (cases[0],)
    assert matching("frontend/web/adder.test.ts", cases) == (cases[0],)
    assert matching("tests/test_x.py::TestC::test_a", cases) == (cases[1],)
    assert matching("web/adder.test.ts::Adder::adds", cases) == (cases[0],)
    assert matching("web/adder.test.ts::Other::adds", cases) == ()
    assert matching("web", cases) == (cases[0], cases[2])


def test_a_class_name_may_be_the_path_itself() -> None:
    cases = [case("web/adder.test.ts::adds numbers"), case("web/other.test.ts::adds numbers")]
    assert matching("web/adder.test.ts::adds numbers", cases) == (cases[0],)


def test_colons_inside_a_parameter_separate_nothing() -> None:
    assert split("a.py::T::t[x::y]") == ("a.py", ("T", "t[x::y]"))
    assert split("a.py") == ("a.py", ())
    assert split("a.py::") == ("a.py", ("",))
