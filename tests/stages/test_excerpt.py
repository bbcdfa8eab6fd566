from hypothesis import given
from hypothesis import strategies as st

from stages.excerpt import excerpt


def test_a_short_text_stays_as_it_is() -> None:
    assert excerpt("a" * 100, 100) == "a" * 100


def test_a_long_text_keeps_head_and_tail_and_counts_what_is_missing() -> None:
    text = "HEAD" + "x" * 1000 + "TAIL"
    shown = excerpt(text, 200)
    assert shown.startswith("HEAD")
    assert shown.endswith("TAIL")
    cut = int(shown.split("[... ")[1].split(" ")[0])
    kept = shown.replace(f"\n[... {cut} characters cut ...]\n", "")
    assert len(kept) + cut == len(text)


@given(st.text(max_size=400), st.integers(0, 300))
def test_an_excerpt_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(excerpt(text, limit)) <= limit
