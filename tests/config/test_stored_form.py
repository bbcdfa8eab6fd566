"""The resolved configuration has one JSON form, which is hashed, stored and read back; no key is in it."""

from pathlib import Path

from pipeline.config.load import canonical_json, config_hash, settings_from_json
from pipeline.config.settings import Settings
from tests.config.files import SOUND, loaded

RICH = """\
models: {next: {id: claude-next, like: claude-opus-5-5, prices: {input: 4.10, output: 20}}}
vendors: {openai: {base_url: "http://127.0.0.1:1/v1", api_key_env: GATEWAY_KEY}, google: {api_key: none}}
sandbox: {setup: ["pip install -e ."], setup_timeout: 1m, network: setup, cpus: 1.5}
"""


def settings(folder: Path, text: str, *overrides: str) -> Settings:
    found = loaded(folder, text, overrides=overrides, environ={"GATEWAY_KEY": "sesame-open", "ANTHROPIC_API_KEY": "k1"})
    assert found.settings is not None, found.problems
    return found.settings


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    before = settings(tmp_path, RICH + SOUND, "limits.cost=10.50", "stages.coder.cost=2.25")
    assert settings_from_json(canonical_json(before)) == before


def test_the_hash_is_of_what_is_meant_not_of_how_it_is_written(tmp_path: Path) -> None:
    plain = config_hash(settings(tmp_path, SOUND))
    assert (
        config_hash(settings(tmp_path, "# a remark\n" + SOUND.replace("2h", "120m").replace("1_500_000", "1500000")))
        == plain
    )
    assert config_hash(settings(tmp_path, SOUND, "stages.coder.retry_budget=2")) != plain


def test_no_key_is_stored_only_the_names_of_variables(tmp_path: Path) -> None:
    stored = settings(tmp_path, RICH + SOUND)
    assert b"sesame" not in canonical_json(stored)
    vendors = {name: (vendor.api_key_env, vendor.other_key_envs) for name, vendor in stored.vendors.items()}
    assert vendors == {"anthropic": ("ANTHROPIC_API_KEY", ()), "google": (None, ()), "openai": ("GATEWAY_KEY", ())}


def test_google_has_two_variables_first_set_wins(tmp_path: Path) -> None:
    vendor = settings(tmp_path, SOUND).vendors["google"]
    assert (vendor.api_key_env, vendor.other_key_envs) == ("GEMINI_API_KEY", ("GOOGLE_API_KEY",))
