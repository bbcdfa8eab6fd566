"""`${ENV}` is replaced in values, and a variable that names a key never is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.expand import ExpansionError, Variables, refers
from tests.config.files import SOUND, changed, loaded, problem_lines


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "one"), ("x-${A}-y", "x-one-y"), ("${B:-two}", "two"), ("${A:-two}", "one"), ("${B:-}", ""),
        ("${EMPTY:-two}", "two"), ("$A", "$A"), ("$${A}", "${A}"), ("${A}${A}", "oneone"), ("5 $", "5 $"),
    ],
)  # fmt: skip
def test_a_reference_is_replaced(text: str, expanded: str) -> None:
    assert Variables({"A": "one", "EMPTY": ""}).expand(text) == expanded


@pytest.mark.parametrize(
    ("text", "code"),
    [("${B}", "SW110"), ("${", "SW110"), ("${1A}", "SW110"), ("${A", "SW110"), ("${EMPTY}", "SW110"),
     ("${OPENAI_API_KEY}", "SW111"), ("${MY_TOKEN:-x}", "SW111"), ("${GATEWAY}", "SW111"), ("${db_password}", "SW111")],
)  # fmt: skip
def test_a_reference_that_cannot_be_replaced_is_refused(text: str, code: str) -> None:
    variables = Variables({"A": "1", "EMPTY": "", "OPENAI_API_KEY": "k", "GATEWAY": "k"}, frozenset({"GATEWAY"}))
    with pytest.raises(ExpansionError) as refused:
        variables.expand(text)
    assert refused.value.code == code


@given(st.text().filter(lambda text: "${" not in text))
def test_a_text_without_references_stays_as_it_is(text: str) -> None:
    assert Variables({}).expand(text) == text
    assert not refers(text)


def test_values_are_expanded_and_typed_and_commands_are_not(tmp_path: Path) -> None:
    text = changed(
        SOUND,
        ("tokens: 1_500_000", "tokens: ${CAP:-900_000}"),
        ("timeout: 300s", "timeout: '${LIMIT}'"),
        ("model: gemini-3.8-flash", "model: gemini-${FLASH}"),
        ("pytest -q", "pytest ${ARGS}"),
    )
    settings = loaded(tmp_path, text, environ={"LIMIT": "4m", "FLASH": "3.8-flash", "ARGS": "-x"}).settings
    assert settings is not None
    assert (settings.limits.tokens, settings.planner.rungs[0].timeout) == (900_000, 240)
    assert settings.reviewer is not None
    assert settings.reviewer.rungs[0].model == "gemini-3.8-flash"
    assert settings.checks[0].run == "pytest ${ARGS} --junitxml=$REPORT"


def test_a_variable_that_the_file_names_as_a_key_is_not_expanded(tmp_path: Path) -> None:
    text = 'vendors: {openai: {api_key_env: GATEWAY, base_url: "https://h/${GATEWAY}"}}\n' + SOUND
    assert problem_lines(loaded(tmp_path, text, environ={"GATEWAY": "sesame"})) == [
        (
            "SW111 pipeline.yaml:1:42: vendors.openai.base_url: `${GATEWAY}` names a key; "
            "keys never enter the config: name the variable with `api_key_env: GATEWAY`"
        )
    ]


def test_an_unset_variable_says_how_to_go_on(tmp_path: Path) -> None:
    text = changed(SOUND, ("model: gemini-3.8-flash", "model: ${FLASH}"))
    assert problem_lines(loaded(tmp_path, text)) == [
        (
            "SW110 pipeline.yaml:22:5: stages.reviewer.model: the environment variable FLASH is not set; "
            "set it, or write ${FLASH:-default}"
        )
    ]
