"""The envelope is what the formulas of attempts, times and prices come to, and nothing runs beyond it."""
# ruff: noqa: E501 - a row of a table is a line

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.config.settings import Settings
from pipeline.preflight.envelope import attempts_at_most, envelope, render
from tests.config.files import SOUND, changed, loaded

REVIEWER = "  reviewer:\n    vendor: google\n    model: gemini-3.8-flash\n    timeout: 120s\n    retry_budget: 1\n"
DEBUGGER = "  debugger:\n    vendor: anthropic\n    model: claude-opus-5-5\n    timeout: 300s\n    retry_budget: 1\n"


def settings(folder: Path, *changes: tuple[str, str]) -> Settings:
    found = loaded(folder, changed(SOUND, *changes))
    assert found.settings is not None, found.problems
    return found.settings


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        # P, C, D, R = 2, 4, 2, 2 and W = 12
        ([], {"planner": 4, "coder": 12 * 6 + 2 * 3, "reviewer": 4, "debugger": 2 * 14 + 2}),
        ([(DEBUGGER, "  debugger: none\n")], {"planner": 2, "coder": 12 * 4 + 2, "reviewer": 2, "debugger": 0}),
        ([(REVIEWER, "  reviewer: none\n")], {"planner": 4, "coder": 12 * 6 + 3, "reviewer": 0, "debugger": 2 * 13 + 2}),
        ([(REVIEWER, "    can_route_to: []\n" + REVIEWER)], {"planner": 2, "coder": 50, "reviewer": 2, "debugger": 0}),
        ([(REVIEWER, "    attaches_to: reviewer\n" + REVIEWER)], {"planner": 2, "coder": 50, "reviewer": 2, "debugger": 0}),
        ([("wall_clock: 2h", "wall_clock: 2h\n  work_items: 1")], {"planner": 4, "coder": 6 + 6, "reviewer": 4, "debugger": 2 * 3 + 2}),
    ],
)  # fmt: skip
def test_attempts_are_counted_by_the_formulas(
    changes: list[tuple[str, str]], counts: dict[str, int], tmp_path: Path
) -> None:
    assert attempts_at_most(settings(tmp_path, *changes)) == counts


def test_the_longest_run_is_bounded_by_the_wall_clock_or_by_its_attempts(tmp_path: Path) -> None:
    assert envelope(settings(tmp_path)).seconds == 7200
    small = settings(
        tmp_path, (DEBUGGER, "  debugger: none\n"), ("wall_clock: 2h", "wall_clock: 100h\n  work_items: 1")
    )
    assert envelope(small).seconds == 2 * 300 + (4 + 2) * 1200 + 2 * 120


def test_the_cap_is_priced_at_the_dearest_token(tmp_path: Path) -> None:
    prices = "vendors:\n  anthropic: {prices: {'*': {input: 4, output: 20}}}\n  google: {prices: {'*': {input: 1, output: 2}}}\n"
    found = loaded(tmp_path, prices + SOUND).settings
    assert found is not None
    assert envelope(found).cost == Decimal(30)
    assert "cost: at most $30.00 for these tokens" in render(envelope(found))


def test_an_unknown_price_is_said_to_be_unknown(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, "models: {n: {id: claude-next}}\n" + changed(SOUND, ("model: claude-sonnet-5-5", "model: n"))
    )
    assert found.settings is not None
    assert "cost: unknown, no price for anthropic/claude-next" in render(envelope(found.settings))


def test_the_rungs_are_shown_as_they_will_be_used(tmp_path: Path) -> None:
    ladder = (
        "timeout: 20m\n    effort: low\n    escalation: [{compute: increased}, {model: claude-opus-5-5, timeout: 30m}]"
    )
    text = render(envelope(settings(tmp_path, ("timeout: 20m", ladder))))
    assert [line.strip() for line in text.splitlines() if "claude" in line][1:4] == [
        "attempt 1      anthropic/claude-sonnet-5-5, effort low, 20m each, 16_000 output tokens a call",
        "attempt 2      anthropic/claude-sonnet-5-5, effort medium, 20m each, 16_000 output tokens a call",
        "attempts 3-4   anthropic/claude-opus-5-5, effort low, 30m each, 16_000 output tokens a call",
    ]


def test_the_defaults_in_force_are_listed(tmp_path: Path) -> None:
    found = loaded(tmp_path, SOUND)
    assert found.settings is not None
    text = render(envelope(found.settings, defaults=found.defaults))
    assert "  limits.work_items = 12\n" in text
    assert "  sandbox.memory = 4g\n" in text
    assert "  stages.coder.effort = high, the own default of claude-sonnet-5-5\n" in text
    assert "stages.coder.timeout" not in text


def test_a_vendors_limits_and_a_stages_fallbacks_are_said(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        ("stages:\n", "vendors: {anthropic: {max_concurrency: 4, tokens_per_minute: 400_000}}\nstages:\n"),
        ("timeout: 20m", "timeout: 20m\n    fallback: [{vendor: openai, model: gpt-6.1-sol, effort: high}]"),
    )
    lines = [line.strip() for line in render(envelope(found)).splitlines()]
    assert (
        "pace: anthropic at most 4 calls at a time, 400_000 tokens a minute, all runs of this machine together" in lines
    )
    assert "in an outage   openai/gpt-6.1-sol at effort high, in the time left" in lines
    assert not [line for line in render(envelope(settings(tmp_path))).splitlines() if "pace:" in line]
