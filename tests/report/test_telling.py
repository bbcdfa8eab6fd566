from decimal import Decimal
from typing import Any, get_args

import pytest

from pipeline.events import AnyEvent, AttemptEnded, AttemptStarted, HumanAnswered, RunEnded, RunStarted, ToolCalled
from pipeline.reporting.telling import telling
from pipeline.reporting.wording import duration, money, one_line
from tests.report.story import BASE, FIRST, RED, SOLVED, ended, stopped


@pytest.mark.parametrize("kind", get_args(AnyEvent), ids=lambda kind: kind.__name__)
def test_every_kind_of_event_has_words_of_its_own(kind: type[AnyEvent]) -> None:
    numbers: dict[Any, int] = {int: 0, float: 0, bool: 0}
    required = {name: field for name, field in kind.model_fields.items() if field.is_required()}
    event = kind.model_construct(None, **{n: numbers.get(f.annotation, "something") for n, f in required.items()})
    assert telling(event) not in {"", event.kind}


def test_a_retry_is_told_with_its_rung_and_model() -> None:
    event = next(e for e in SOLVED if isinstance(e, AttemptStarted) and e.rung == 2)
    assert telling(event) == "coder (once) attempt 2 on rung 2: scripted/strong, at most 1 min 00 s"


def test_a_red_attempt_is_told_with_its_failure() -> None:
    event = next(e for e in SOLVED if isinstance(e, AttemptEnded) and e.outcome == "red")
    assert telling(event) == "coder (once) attempt 1 red in 7.5 s: 1 test is red"


def test_endings_are_told_by_branch_or_reason() -> None:
    solved = next(e for e in SOLVED if isinstance(e, RunEnded))
    assert telling(solved) == "solved: branch stagewright/late-fees"
    assert telling(stopped()) == "budget stop: a call of 9,000 tokens does not fit"
    assert telling(next(e for e in SOLVED if isinstance(e, RunStarted))) == f"run of ticket late-fees on {BASE[:12]}"


def test_what_a_model_wrote_cannot_steer_the_terminal() -> None:
    event = ToolCalled(
        stage="coder", attempt=1, tool="run", summary="\x1b]0;owned\x07\x1b[2J\nrm", arguments="", result=""
    )
    assert telling(event).isprintable()
    sneaky = ended(FIRST.model_copy(update={"item": "a\x1b[31m"}), "red", failure=RED)
    assert telling(sneaky).isprintable()


def test_long_words_are_cut() -> None:
    assert len(telling(HumanAnswered(text="x" * 5000))) == 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.4, "59.4 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (7260, "2 h 01 min"),
        (90_000, "1 d 01 h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_unknown_money_is_a_dash() -> None:
    assert (money(None), money(Decimal("1234.56789"))) == ("-", "$1,234.5679")


def test_one_line_keeps_words_apart() -> None:
    assert one_line("a\n\n b\tc") == "a b c"
