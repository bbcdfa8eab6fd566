import pytest

from stages.listing import SHOWN as LISTED
from stages.listing import listing
from stages.selection import SHOWN, select_lines

TEN = "".join(f"line {number}\n" for number in range(1, 11)).encode()


@pytest.mark.parametrize(
    "content",
    [TEN, b"a\r\nb\r\n", b"no newline", b"\n\n", b"\x0c form feed \xe2\x80\xa8 separator\n", b" \t\n"],
)
def test_a_whole_file_is_shown_exactly(content: bytes) -> None:
    assert select_lines("f", content, None, None) == content.decode()


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (1, 2, "line 1\nline 2\n[lines 1-2 of 10]"),
        (9, None, "line 9\nline 10\n[lines 9-10 of 10]"),
        (10, 99, "line 10\n[lines 10-10 of 10]"),
        (None, 1, "line 1\n[lines 1-1 of 10]"),
        (11, None, "[f has 10 lines; none from 11 to 10]"),
        (5, 4, "[f has 10 lines; none from 5 to 4]"),
        (1, 10, TEN.decode()),
    ],
)
def test_some_lines_are_shown_with_a_note_of_where_they_are(start: int | None, end: int | None, shown: str) -> None:
    assert select_lines("f", TEN, start, end) == shown


def test_long_text_is_cut_at_a_line_and_says_where_to_go_on() -> None:
    content = b"0123456789\n" * 10_000
    shown = select_lines("f", content, None, None)
    assert len(shown) < SHOWN + 100
    assert shown.endswith("\n[cut after line 2727; go on with start_line 2728]")
    assert select_lines("f", content, 2728, 2728).startswith("0123456789\n")


def test_one_endless_line_is_cut_inside() -> None:
    shown = select_lines("f", b"x" * 50_000, None, None)
    assert shown.endswith("[line 1 is longer than 30000 characters and was cut]")


def test_files_that_are_not_text_are_named_as_such() -> None:
    assert select_lines("logo.png", b"\x89PNG\0", None, None) == "[logo.png is a binary file of 5 bytes]"
    assert select_lines("f", b"", None, None) == "[f is empty]"
    assert "not UTF-8" in select_lines("f", b"caf\xe9\n", None, None)


def test_few_files_are_listed_one_a_line() -> None:
    assert listing(["a.py", "src/b.py"], ".") == "a.py\nsrc/b.py"


def test_many_files_are_summed_up_by_folder() -> None:
    paths = ["a.py", *(f"src/{number:04}.py" for number in range(LISTED)), "src/deep/x.py"]
    assert listing(sorted(paths), ".") == (
        f"a.py\nsrc/ ({LISTED + 1} files)\n[{LISTED + 2} files; folders are summed up, list one to see inside]"
    )
    inside = listing(sorted(paths)[1:], "src")
    assert "src/deep/ (1 files)" in inside
    assert "src/0001.py" in inside
