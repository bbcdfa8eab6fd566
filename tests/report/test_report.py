import json
from textwrap import dedent

from pipeline.events import BreakerOpened, BreakerWarned, RouteChosen
from pipeline.reporting.report import extended, markdown
from tests.report.story import CALLS, RED, SECOND, SOLVED, TO_FIRST_ATTEMPT, archived, ended, stopped

RESUME = "stagewright resume x --set limits.tokens=800000"
OPENED = BreakerOpened(scope="run/x/tokens", reason="no_room", spent=390_000, held=4_000, cap=400_000, needed=9_000)


def test_the_report_of_a_solved_run() -> None:
    run = archived(SOLVED, CALLS, receipt={"unchanged": True, "changes": []}, patch=b"diff")
    assert markdown(run, resume=None) == dedent("""\
        # Late fees are charged twice: solved

        Run `20261120-100000-000aaaaaa` of ticket `late-fees` on commit `0123456789ab`:
        30.0 s, 7,000 of 400,000 tokens, $0.1800.

        Branch `stagewright/late-fees`, commit `ffffffffffff`. To look at it:

            git diff 0123456789ab stagewright/late-fees

        ## Stages

        | stage | item | attempt | rung | model | outcome | seconds | calls | tokens | cost |
        | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
        | planner | - | 1 | 1 | scripted/planner | passed | 7.5 | 1 | 1,000 | $0.0200 |
        | coder | once | 1 | 1 | scripted/small | red | 7.5 | 2 | 2,000 | $0.0400 |
        | coder | once | 2 | 2 | scripted/strong | passed | 7.5 | 1 | 3,000 | $0.1000 |
        | reviewer | - | 1 | 1 | scripted/reviewer | passed | 7.5 | 1 | 1,000 | $0.0200 |

        * coder attempt 1 of once: 1 test is red

        ## Checks

        | when | item | check | outcome | passed | failed | verdict | seconds |
        | --- | --- | --- | --- | --- | --- | --- | --- |
        | baseline | - | tests | passed | 5 | 0 | green | 0.0 |
        | focus | once | tests | failed | 4 | 1 | red | 0.0 |
        | final | once | tests | passed | 5 | 0 | green | 0.0 |

        * red: `tests/test_fees.py::test_once`

        ## Gates

        * coder attempt 1 of once: `write_file` refused, scope: setup.py is not in it

        ## Review

        * info `fees.py:3`: a | b

        ## Models

        | model | calls | errors | input | cache read | output | counted | cost |
        | --- | --- | --- | --- | --- | --- | --- | --- |
        | scripted/planner | 1 | 0 | 1,400 | 500 | 100 | 1,000 | $0.0200 |
        | scripted/small | 2 | 0 | 2,800 | 1,000 | 200 | 2,000 | $0.0400 |
        | scripted/strong | 1 | 0 | 3,200 | 500 | 300 | 3,000 | $0.1000 |
        | scripted/reviewer | 1 | 0 | 1,400 | 500 | 100 | 1,000 | $0.0200 |

        ## Receipt

        Your checkout, index, refs and git configuration are as they were.

        ## Warnings

        * the cap is small
        """)


def test_a_stopped_run_says_why_where_and_how_to_go_on() -> None:
    shown = markdown(archived([*TO_FIRST_ATTEMPT, OPENED, stopped()], CALLS, patch=b"diff"), resume=RESUME)
    assert f"\n    {RESUME}\n" in shown
    assert "\n    stagewright patch 20261120-100000-000aaaaaa\n" in shown
    assert "a call of 9,000 tokens does not fit" in shown
    for fact in ("stage: `coder`", "item: `once`", "bound: `tokens`", "set by: `limits.tokens`"):
        assert f"* {fact}" in shown
    assert "390,000 spent and 4,000 held of 400,000, 9,000 needed" in shown


def test_the_last_evidence_is_quoted_and_cannot_end_its_fence() -> None:
    shown = markdown(archived([*TO_FIRST_ATTEMPT, stopped()]), resume=RESUME)
    assert "* last failure (checks): 1 test is red" in shown
    assert "````\nassert 20 == 10\n```\nE  fence\n````\n" in shown


def test_the_output_of_a_test_cannot_steer_the_terminal() -> None:
    coloured = RED.model_copy(update={"excerpt": "\x1b[31mE  assert\x1b[0m\n\tindented"})
    shown = markdown(archived([*TO_FIRST_ATTEMPT, stopped(failure=coloured)]), resume=RESUME)
    assert "\x1b" not in shown
    assert "E  assert" in shown
    assert "\n\tindented\n" in shown


def test_a_run_under_way_says_so() -> None:
    shown = markdown(archived([*TO_FIRST_ATTEMPT, SECOND]), resume="stagewright resume x")
    assert shown.startswith("# Late fees are charged twice: not ended\n")
    assert "| coder | once | 2 | 2 | scripted/strong | not ended | - |" in shown


def test_a_repository_that_changed_is_reported() -> None:
    receipt = {"unchanged": False, "changes": ["refs/heads/main: moved by somebody else"]}
    assert "* refs/heads/main: moved by somebody else" in markdown(archived(SOLVED, receipt=receipt), resume=None)


def test_a_bar_in_a_cell_does_not_split_it() -> None:
    odd = ended(SECOND.model_copy(update={"model": "a|b"}), "passed")
    start = SECOND.model_copy(update={"model": "a|b"})
    assert "scripted/a\\|b" in markdown(archived([*TO_FIRST_ATTEMPT, start, odd]), resume=None)


def test_the_json_report_adds_what_happened_to_the_document() -> None:
    events = [
        *TO_FIRST_ATTEMPT,
        RouteChosen(stage="coder", item="once", owner="planner"),
        BreakerWarned(scope="run/x/tokens", spent=1, held=2, cap=3),
        OPENED,
        stopped(),
    ]
    report = extended({"run_id": "x"}, archived(events, CALLS))
    json.dumps(report)
    assert report["run_id"] == "x"
    assert [check["phase"] for check in report["checks"]] == ["baseline", "focus"]
    assert [event["kind"] for event in report["breaker"]] == ["breaker.warned", "breaker.opened"]
    assert report["gates"][0]["code"] == "scope"
    assert report["routes"][0]["owner"] == "planner"
    assert report["ended"]["config_key"] == "limits.tokens"
    assert report["manifest"]["work_items"][0]["id"] == "once"
    assert report["warnings"] == ["the cap is small"]
