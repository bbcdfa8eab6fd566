"""`--set` puts a typed value anywhere, for one run, and is named where it is wrong."""
# ruff: noqa: E501 - the printed lines are kept whole, to be compared and searched for

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.keypath import join
from pipeline.config.overrides import override
from pipeline.config.tree import Node, Scalar, Table
from pipeline.config.yaml_writer import write_yaml
from pipeline.problem import Position
from tests.config.files import SOUND, changed, loaded, problem_lines, warning_lines

HERE = Position(path="a.yaml", line=1, column=1)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)


def test_a_value_is_replaced_and_typed(tmp_path: Path) -> None:
    overrides = ["stages.coder.timeout=30m", "limits.tokens=2_000_000", "limits.cost=7.5"]
    settings = loaded(tmp_path, SOUND, overrides=overrides).settings
    assert settings is not None
    assert (settings.coder.rungs[0].timeout, settings.limits.tokens, str(settings.limits.cost)) == (
        1800,
        2_000_000,
        "7.5",
    )


def test_only_what_is_set_changes(tmp_path: Path) -> None:
    before = loaded(tmp_path, SOUND).settings
    overrides = ["stages.reviewer.vendor=openai", "stages.reviewer.model=gpt-6.1-sol"]
    after = loaded(tmp_path, SOUND, overrides=overrides).settings
    assert before is not None
    assert after is not None
    assert after.reviewer is not None
    assert after.reviewer.rungs[0].vendor == "openai"
    left_out = {"reviewer", "vendors"}
    assert after.model_dump(exclude=left_out) == before.model_dump(exclude=left_out)


def test_keys_are_created_and_lists_indexed_and_extended(tmp_path: Path) -> None:
    overrides = [
        "stages.coder.escalation=[{effort: max}]",
        "stages.coder.escalation.0.timeout=40m",
        "stages.coder.escalation.1.model=claude-opus-5-5",
        "sandbox.memory=8g",
        "checks.0.timeout=1m",
        "stages.reviewer=none",
    ]
    settings = loaded(tmp_path, SOUND, overrides=overrides).settings
    assert settings is not None
    assert [(rung.model, rung.effort, rung.timeout) for rung in settings.coder.rungs] == [
        ("claude-sonnet-5-5", None, 1200),
        ("claude-sonnet-5-5", "max", 2400),
        ("claude-opus-5-5", None, 1200),
    ]
    assert (settings.sandbox.memory, settings.checks[0].timeout, settings.reviewer) == (8 << 30, 60, None)


def test_a_single_escalation_is_a_list_of_one(tmp_path: Path) -> None:
    text = changed(SOUND, ("timeout: 20m", "timeout: 20m\n    escalation: {effort: max}"))
    settings = loaded(tmp_path, text, overrides=["stages.coder.escalation.0.timeout=1h"]).settings
    assert settings is not None
    assert (settings.coder.rungs[1].effort, settings.coder.rungs[1].timeout) == ("max", 3600)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stages.coder.timout=5m", "SW104 command line: stages.coder.timout: unknown key (`--set stages.coder.timout=...`); did you mean `timeout`?"),
        ("stages.coder.timeout=0", "SW107 command line: stages.coder.timeout: `0` is zero, which is no time limit (`--set stages.coder.timeout=...`); write a duration such as 300s"),
        ("stages.coder.timeout", "SW113 command line: not an override (`--set stages.coder.timeout`); write --set stages.coder.timeout=20m"),
        ("=5", "SW113 command line: not an override (`--set =...`); write --set stages.coder.timeout=20m"),
        ("limits.tokens.a=5", "SW113 command line: limits.tokens.a: `limits.tokens` is a single value and has nothing below it (`--set limits.tokens.a=...`); set limits.tokens as a whole"),
        ("checks.2.timeout=5m", "SW113 command line: checks.2: `2` is no place in a list of 1 (`--set checks.2.timeout=...`); write a number from 0 to 1"),
        ("checks.first.timeout=5m", "SW113 command line: checks.first: `first` is no place in a list of 1 (`--set checks.first.timeout=...`); write a number from 0 to 1"),
        ("stages.coder={", "SW102 command line: not valid YAML: expected the node content, but found '<stream end>' (`--set stages.coder=...`); check indentation, colons and quotes"),
        ("limits.tokens=", "SW105 command line: limits.tokens: has no value (`--set limits.tokens=...`); give it one, or remove the key"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_named(text: str, line: str, tmp_path: Path) -> None:
    assert problem_lines(loaded(tmp_path, SOUND, overrides=[text])) == [line]


def test_a_key_in_an_override_is_refused_and_not_repeated(tmp_path: Path) -> None:
    secret = "sk-" + "a1" * 10
    for override_text in (f"vendors.openai.api_key={secret}", f"vendors.openai={{zzz: 1, api_key: {secret}}}"):
        found = loaded(tmp_path, SOUND, overrides=[override_text])
        assert "SW111" in {problem.code for problem in found.problems}
        assert not any(secret in line for line in problem_lines(found))


def test_a_rule_that_an_override_breaks_names_it(tmp_path: Path) -> None:
    found = loaded(tmp_path, SOUND, overrides=["limits.tokens=1000"])
    assert warning_lines(found)[0].startswith("SW209 command line: limits.tokens: 1_000 tokens are little")


def test_mistakes_of_file_and_overrides_are_found_together(tmp_path: Path) -> None:
    found = loaded(tmp_path, changed(SOUND, ("timeout: 300s", "timeout: soon")), overrides=["limits.wall_clock=never"])
    assert [problem.path for problem in found.problems] == ["command line", "pipeline.yaml"]


@given(st.lists(NAMES, min_size=1, max_size=4), NAMES)
def test_a_value_set_at_a_path_is_found_at_the_path(parts: list[str], value: str) -> None:
    written = write_yaml(Scalar(value, plain=False, at=HERE)).rstrip("\n")
    root, problems = override(Table({}, HERE), f"{join(parts)}={written}")
    assert problems == []
    node: Node = root
    # "0" below an empty mapping makes a list, as it does for a single escalation.
    for part in parts:
        node = node.entries[part].node if isinstance(node, Table) else node.items[int(part)]  # type: ignore[union-attr]
    assert isinstance(node, Scalar)
    assert node.text == value
