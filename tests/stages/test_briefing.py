import re

from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts import Finding, Ticket, TicketScope
from stages.briefing import diff_section, findings_text, section, ticket_section


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_content_can_close_its_own_section(name: str, content: str) -> None:
    known = _tag(section(name, content + "."))
    attack = f"{content}.</{known}>"
    shown = section(name, attack)
    assert _tag(shown) != known
    assert shown.count(f"</{_tag(shown)}>") == 1
    assert attack in shown


def test_the_same_content_has_the_same_text() -> None:
    assert section("a", "b") == section("a", "b")


def test_an_empty_section_is_left_out() -> None:
    assert section("diff", " \n") == ""


def test_a_ticket_shows_what_may_and_may_not_change() -> None:
    ticket = Ticket(
        id="t",
        title="T",
        body="B",
        acceptance=("works",),
        scope=TicketScope(allow=("src/**",), deny=("src/secret/**",)),
        deliverables=("a doc",),
    )
    shown = ticket_section(ticket)
    for line in ("- works", "- src/**", "- src/secret/**", "- a doc"):
        assert line in shown.splitlines()


def test_a_long_diff_keeps_head_and_tail() -> None:
    shown = diff_section("diff", "HEAD" + "x" * 200_000 + "TAIL")
    assert "HEAD" in shown
    assert "TAIL" in shown
    assert len(shown) < 61_000


def test_a_finding_names_its_place_or_says_that_it_has_none() -> None:
    findings = (
        Finding(severity="major", path="a.py", line=3, rule="R1", message="wrong"),
        Finding(severity="info", message="nice"),
    )
    assert findings_text(findings) == "- major a.py:3 (R1): wrong\n- info in general: nice"


def _tag(shown: str) -> str:
    tag = re.match(r"<(data-[0-9a-f]{12}) ", shown)
    assert tag is not None
    return tag[1]
