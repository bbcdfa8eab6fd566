"""Keys disappear from text; words that merely look a little like keys stay."""

import pytest

from pipeline.memory.redaction import REDACTED, redact_json, redactor

SHAPED = [
    "sk-ant-api03-" + "aB3_" * 20,
    "sk-proj-" + "Zz9" * 16,
    "AIza" + "Sy1" * 11 + "ab",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1" * 30,
    "glpat-" + "a1" * 12,
    "xoxb-" + "1234567890-abc",
    "AKIA" + "ABCD1234EFGH5678",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIE cut off here",
]
HARMLESS = [
    "sk-learn-pipelines-and-everything-in-it",
    "task-2024-A-very-long-branch-name-12345678",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "Bearer of bad news",
    "https://example.org:8080/path@home",
    "def AIzaac(): pass",
]


@pytest.mark.parametrize("key", SHAPED)
def test_common_key_shapes_are_removed(key: str) -> None:
    assert redactor([])(f"before {key}") == f"before {REDACTED}"


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays(text: str) -> None:
    assert redactor([])(text) == text


def test_headers_and_addresses_lose_only_the_secret() -> None:
    redact = redactor([])
    assert redact("Authorization: Bearer abc.def-123456789012345") == f"Authorization: Bearer {REDACTED}"
    assert redact("https://me:pass@example.org/x") == f"https://{REDACTED}@example.org/x"


def test_own_keys_are_removed_whatever_they_look_like_and_also_quoted() -> None:
    redact = redactor(["odd/key+value", "odd/key+value-longer"])
    assert redact("odd/key+value-longer odd/key+value odd%2Fkey%2Bvalue") == f"{REDACTED} {REDACTED} {REDACTED}"


def test_a_test_set_ups_short_key_does_not_garble_text() -> None:
    assert redactor(["", "test", "none"])("a test of none") == "a test of none"


def test_every_string_of_a_json_value_is_redacted_and_nothing_else() -> None:
    value = {"a": ["longkey99", 1, None, {"longkey99": "x longkey99"}], "b": True}
    assert redact_json(value, redactor(["longkey99"])) == {
        "a": [REDACTED, 1, None, {"longkey99": f"x {REDACTED}"}],
        "b": True,
    }
