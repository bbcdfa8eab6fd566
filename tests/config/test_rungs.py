"""A rung inherits from the stage's entry, never from the rung before it, and its effort is worked out."""

from pathlib import Path

import pytest

from pipeline.config.load import canonical_json, settings_from_json
from pipeline.config.settings import Rung, Settings
from tests.config.files import SOUND, changed, loaded, problem_lines


def settings(folder: Path, *changes: tuple[str, str]) -> Settings:
    found = loaded(folder, changed(SOUND, *changes))
    assert problem_lines(found) == []
    assert found.settings is not None
    return found.settings


def coder(folder: Path, extra: str) -> tuple[Rung, ...]:
    return settings(folder, ("timeout: 20m", f"timeout: 20m\n    {extra}")).coder.rungs


def test_a_rung_names_only_what_changes_and_takes_the_rest_from_the_entry(tmp_path: Path) -> None:
    rungs = coder(
        tmp_path,
        "effort: low\n    escalation: [{effort: max, timeout: 1h}, {model: claude-opus-5-5, max_output_tokens: 6_000}]",
    )
    assert [(rung.model, rung.effort, rung.timeout, rung.max_output_tokens) for rung in rungs] == [
        ("claude-sonnet-5-5", "low", 1200, 16_000),
        ("claude-sonnet-5-5", "max", 3600, 16_000),
        ("claude-opus-5-5", "low", 1200, 6_000),
    ]


def test_the_longest_silence_is_five_minutes_unless_an_entry_or_a_rung_says_otherwise(tmp_path: Path) -> None:
    assert [rung.stall for rung in coder(tmp_path, "escalation: [{stall: 20m}, {effort: max}]")] == [300, 1200, 300]
    assert [rung.stall for rung in coder(tmp_path, "stall: 90\n    escalation: [{stall: 2h}, {}]")] == [90, 7200, 90]


@pytest.mark.parametrize("word", ["escalation", "on_retry"])
def test_one_mapping_is_a_ladder_of_one_under_either_word(word: str, tmp_path: Path) -> None:
    assert [rung.effort for rung in coder(tmp_path, f"{word}: {{effort: max}}")] == [None, "max"]


@pytest.mark.parametrize(
    ("extra", "efforts"),
    [
        ("effort: low\n    escalation: {compute: increased}", ["low", "medium"]),
        ("effort: low\n    escalation: [{compute: increased}, {compute: increased}]", ["low", "medium", "high"]),
        ("escalation: {compute: increased}", [None, "xhigh"]),  # the model's own default is high
        ("effort: low\n    escalation: [{effort: high}, {compute: increased}]", ["low", "high", "xhigh"]),
        ("effort: none\n    escalation: {compute: increased, model: claude-opus-5-5}", ["none", "low"]),
        ("effort: low\n    escalation: {compute: increased, model: claude-opus-5-5}", ["low", "medium"]),
        ("escalation: {compute: increased, vendor: google, model: gemini-3.8-flash}", None),  # nothing above high
        ("effort: low\n    escalation: {effort: null}", ["low", None]),
    ],
)  # fmt: skip
def test_increased_compute_is_one_step_above_the_rung_before(
    extra: str, efforts: list[str | None] | None, tmp_path: Path
) -> None:
    found = loaded(tmp_path, changed(SOUND, ("timeout: 20m", f"timeout: 20m\n    {extra}")))
    if found.settings is None:
        assert efforts is None
        assert {problem.code for problem in found.problems} == {"SW203"}
    else:
        assert [rung.effort for rung in found.settings.coder.rungs] == efforts


def test_an_alias_stands_for_its_model(tmp_path: Path) -> None:
    found = settings(
        tmp_path, ("limits:", "models: {big: claude-opus-5-5}\nlimits:"), ("model: claude-opus-5-5", "model: big")
    )
    assert found.planner.rungs[0].model == "claude-opus-5-5"


def test_a_declared_model_has_the_knobs_of_the_one_it_is_like(tmp_path: Path) -> None:
    text = changed(
        SOUND,
        (
            "limits:",
            "models:\n  next: {id: claude-next, like: claude-sonnet-5-5, prices: {input: 4, output: 20}}\nlimits:",
        ),
        ("model: claude-sonnet-5-5\n    timeout: 20m", "model: next\n    timeout: 20m\n    effort: xhigh"),
    )
    found = loaded(tmp_path, text)
    assert problem_lines(found) == []
    assert found.settings is not None
    rung = found.settings.coder.rungs[0]
    assert (rung.model, rung.like, rung.effort) == ("claude-next", "claude-sonnet-5-5", "xhigh")
    assert found.notes == ()


def test_a_model_may_be_like_an_alias_and_has_its_price_where_it_has_none(tmp_path: Path) -> None:
    text = "models: {a: claude-next, next: {id: claude-next, like: big}, big: claude-opus-5-5}\n" + changed(
        SOUND, ("tokens: 1_500_000", "tokens: 1_500_000\n  cost: 5"), ("model: claude-sonnet-5-5", "model: a")
    )
    found = loaded(tmp_path, text)
    assert problem_lines(found) == []
    assert found.settings is not None
    assert found.settings.coder.rungs[0].like == "claude-opus-5-5"
    stored = settings_from_json(canonical_json(found.settings))
    assert stored.models["a"] == stored.models["next"]


@pytest.mark.parametrize(
    ("extra", "voucher"),
    [
        ("models: {next: {id: claude-next}}\n", "`models.next`"),
        ('vendors: {anthropic: {base_url: "https://gateway.example"}}\n', "`vendors.anthropic.base_url`"),
    ],
)
def test_a_model_somebody_vouches_for_is_taken_with_a_note(extra: str, voucher: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, extra + changed(SOUND, ("model: claude-sonnet-5-5", "model: claude-next")))
    assert problem_lines(found) == []
    note = f"anthropic/claude-next is taken on the word of {voucher}, with anthropic's usual knobs"
    assert found.notes == (note,)


def test_the_debugger_attaches_and_routes_to_every_configured_stage_unless_told(tmp_path: Path) -> None:
    whole = settings(tmp_path)
    assert whole.debugger is not None
    assert whole.debugger.attaches_to == whole.debugger.can_route_to == ("planner", "coder", "reviewer")
    reviewer = "  reviewer:\n    vendor: google\n    model: gemini-3.8-flash\n    timeout: 120s\n    retry_budget: 1\n"
    without = settings(tmp_path, (reviewer, "    attaches_to: coder\n  reviewer: none\n"))
    assert without.debugger is not None
    assert (without.debugger.attaches_to, without.debugger.can_route_to) == (("coder",), ("planner", "coder"))


def test_instructions_are_the_text_of_a_file_or_the_text_itself(tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text("Keep it small.\n", encoding="utf-8")
    found = settings(
        tmp_path,
        ("timeout: 20m", "timeout: 20m\n    instructions: rules.md"),
        ("timeout: 120s", "timeout: 120s\n    instructions: Be strict."),
    )
    assert found.coder.instructions == "Keep it small.\n"
    assert found.reviewer is not None
    assert found.reviewer.instructions == "Be strict."


def test_instructions_never_come_from_outside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "link.md").symlink_to(tmp_path / "secret.txt")
    for name in ("../secret.txt", "link.md", str(tmp_path / "secret.txt")):
        found = loaded(folder, changed(SOUND, ("timeout: 20m", f"timeout: 20m\n    instructions: {name}")))
        assert [problem.code for problem in found.problems] == ["SW212"]
        assert "leads out of the config's folder" in problem_lines(found)[0]


def test_a_fallback_inherits_from_the_entry_and_belongs_to_every_rung_that_names_no_other(tmp_path: Path) -> None:
    rungs = coder(
        tmp_path,
        "effort: low\n    fallback: [{vendor: openai, model: gpt-6.1-sol}, {vendor: google, model: gemini-3.8-flash}]\n"
        "    escalation: [{effort: max, timeout: 1h}, {fallback: []},"
        " {fallback: {vendor: openai, model: gpt-6-astra, effort: high}}]",
    )
    shown = [[(one.vendor, one.model, one.effort, one.timeout) for one in rung.fallback] for rung in rungs]
    usual = [("openai", "gpt-6.1-sol", "low", 1200.0), ("google", "gemini-3.8-flash", "low", 1200.0)]
    assert shown == [usual, usual, [], [("openai", "gpt-6-astra", "high", 1200.0)]]


def test_a_fallback_takes_an_inherited_effort_back_with_null(tmp_path: Path) -> None:
    (rung,) = coder(tmp_path, "effort: max\n    fallback: {vendor: google, model: gemini-3.8-flash, effort: null}")
    assert [one.effort for one in rung.fallback] == [None]


def test_settings_with_fallbacks_and_limits_survive_being_stored(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        ("timeout: 20m", "timeout: 20m\n    fallback: [{vendor: openai, model: gpt-6.1-sol}]"),
        (
            "stages:\n",
            "vendors: {openai: {max_concurrency: 2, requests_per_minute: 50, tokens_per_minute: 4_000}}\nstages:\n",
        ),
    )
    assert settings_from_json(canonical_json(found)) == found
    limits = found.vendors["openai"]
    assert (limits.max_concurrency, limits.requests_per_minute, limits.tokens_per_minute) == (2, 50, 4_000)
