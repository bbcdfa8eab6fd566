import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.replacement import replace_once
from stages.tool import RefusedError


@pytest.mark.parametrize(
    ("content", "old", "new", "changed", "line"),
    [
        (b"a\nb\nc\n", "b", "B", b"a\nB\nc\n", 2),
        (b"a\nb\nc\n", "b\n", "", b"a\nc\n", 2),
        (b"no newline at end", "end", "END", b"no newline at END", 1),
        (b"a\r\nb\r\nc\r\n", "b", "x\ny", b"a\r\nx\r\ny\r\nc\r\n", 2),
        (b"a\r\nb\r\nc\r\n", "a\nb", "A\nB", b"A\r\nB\r\nc\r\n", 1),
        (b"a\r\nb\r\nc\r\n", "a\r\nb", "A\r\nB", b"A\r\nB\r\nc\r\n", 1),
        (b"a\nb\r\nc\r\nd\n", "b\nc", "B\nC", b"a\nB\r\nC\r\nd\n", 2),
        (b"a\nb\r\nc\n", "a\n", "A\n", b"A\nb\r\nc\n", 1),
        (b"\xef\xbb\xbfa\t\nb  \n", "b", "c", b"\xef\xbb\xbfa\t\nc  \n", 2),
        (b"caf\xe9 a\n", " a\n", " b\n", b"caf\xe9 b\n", 1),
        ("naïve 日本\n".encode(), "日", "月", "naïve 月本\n".encode(), 1),
    ],
)
def test_one_place_changes_and_every_other_byte_stays(
    content: bytes, old: str, new: str, changed: bytes, line: int
) -> None:
    assert replace_once("f", content, old, new) == (changed, line)


@pytest.mark.parametrize(
    ("content", "old", "new", "says"),
    [
        (b"a\nb\n", "c", "d", "does not occur"),
        (b"", "c", "d", "does not occur"),
        (b"x = 1\ny = 2\n", "  x = 1\n  y = 3", "d", "line 1 has its first line"),
        (b"a\nb\na\n", "a", "c", "occurs 2 times (lines 1, 3)"),
        (b"aaa\n", "aa", "b", "occurs 2 times"),
        (b"a\n" * 9, "a", "c", "occurs 9 times (lines 1, 2, 3, 4, 5, ...)"),
        (b"a\r\nb\r\n", "a\n", "a\r\n", "are the same"),
        (b"a\n", "a", "a", "are the same"),
    ],
)
def test_what_is_missing_ambiguous_or_no_change_is_refused(content: bytes, old: str, new: str, says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        replace_once("f", content, old, new)
    assert says in refused.value.reason


@given(
    st.text("ab\n", max_size=20), st.text("xy\n", min_size=1, max_size=5), st.text("pq\n", max_size=5), st.booleans()
)
def test_what_is_around_the_place_stays_byte_for_byte(around: str, old: str, new: str, crlf: bool) -> None:  # noqa: FBT001 - drawn
    old, new = f"<{old}>", f"[{new}]"
    before, after = f"first\n{around}", around
    text = before + old + after
    written = text.replace("\n", "\r\n") if crlf else text
    changed, _ = replace_once("f", written.encode(), old, new)
    if crlf:
        assert changed == (before + new + after).replace("\n", "\r\n").encode()
    else:
        assert changed == (before + new + after).encode()
