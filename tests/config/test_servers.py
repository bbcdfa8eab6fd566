"""OpenAI-compatible servers in a config: presets by name, servers of one's own, and where each is reached."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline import loader
from pipeline.config.settings import Settings, VendorSettings
from pipeline.metering.prices import pricing
from stages.model import Usage
from tests.config.files import SOUND, changed, loaded, problem_lines

REVIEWER = ("vendor: google\n    model: gemini-3.8-flash", "vendor: {}\n    model: {}")
OWN = 'vendors: {mine: {base_url: "https://llm.example/v1", api_key_env: MY_KEY}}\n'


def with_reviewer(vendor: str, model: str = "some-model") -> str:
    old, new = REVIEWER
    return changed(SOUND, (old, new.format(vendor, model)))


def settings(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    found = loaded(folder, text, environ=environ)
    assert problem_lines(found) == []
    assert found.settings is not None
    return found.settings


def vendor(folder: Path, name: str, environ: Mapping[str, str] | None = None) -> VendorSettings:
    model = "openai/gpt-4.1" if name == "openrouter" else "some-model"
    return settings(folder, with_reviewer(name, model), environ).vendors[name]


@pytest.mark.parametrize(
    ("name", "address", "optional"),
    [
        ("ollama", "http://127.0.0.1:11434/v1", True),
        ("lmstudio", "http://127.0.0.1:1234/v1", True),
        ("vllm", "http://127.0.0.1:8000/v1", True),
        ("litellm", "http://127.0.0.1:4000/v1", True),
        ("openrouter", "https://openrouter.ai/api/v1", False),
    ],
)
def test_a_preset_needs_no_entry(tmp_path: Path, name: str, address: str, *, optional: bool) -> None:
    found = vendor(tmp_path, name)
    assert (found.base_url, found.key_optional, found.surface) == (address, optional, None)


@pytest.mark.parametrize(
    ("name", "variable", "value", "address"),
    [
        ("ollama", "OLLAMA_HOST", "0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("ollama", "OLLAMA_HOST", "0.0.0.0:1234", "http://127.0.0.1:1234/v1"),
        ("ollama", "OLLAMA_HOST", ":9999", "http://127.0.0.1:9999/v1"),
        ("ollama", "OLLAMA_HOST", "box", "http://box:11434/v1"),
        ("ollama", "OLLAMA_HOST", "http://box", "http://box:80/v1"),
        ("ollama", "OLLAMA_HOST", "https://ollama.example/", "https://ollama.example:443/v1"),
        ("ollama", "OLLAMA_HOST", "https://example.com/ollama", "https://example.com:443/ollama/v1"),
        ("ollama", "OLLAMA_HOST", "[::1]:11434", "http://[::1]:11434/v1"),
        ("vllm", "VLLM_BASE_URL", "http://gpu:8000/v1", "http://gpu:8000/v1"),
        ("litellm", "LITELLM_PROXY_API_BASE", "http://gateway:4000", "http://gateway:4000/v1"),
        ("lmstudio", "LM_STUDIO_API_BASE", "http://desk:1234/v1", "http://desk:1234/v1"),
        ("azure", "AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1"),
        ("azure", "AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/openai", "https://r.openai.azure.com/openai/v1"),
        ("azure", "AZURE_OPENAI_BASE_URL", "https://r.openai.azure.com/openai/v1/",
         "https://r.openai.azure.com/openai/v1/"),
    ],
)  # fmt: skip
def test_a_preset_is_where_its_users_have_said_already(
    tmp_path: Path, name: str, variable: str, value: str, address: str
) -> None:
    assert vendor(tmp_path, name, {variable: value}).base_url == address


def test_check_says_where_a_server_is_that_the_file_gives_no_address(tmp_path: Path) -> None:
    found = loaded(tmp_path, with_reviewer("ollama"), environ={"OLLAMA_HOST": "gpu"})
    assert "vendors.ollama.base_url = http://gpu:11434/v1" in found.defaults


def test_the_file_wins_over_the_environment(tmp_path: Path) -> None:
    text = 'vendors: {ollama: {base_url: "http://127.0.0.1:7/v1"}}\n' + with_reviewer("ollama")
    assert settings(tmp_path, text, {"OLLAMA_HOST": "elsewhere"}).vendors["ollama"].base_url == "http://127.0.0.1:7/v1"


def test_a_server_of_ones_own_is_an_entry_with_an_address(tmp_path: Path) -> None:
    found = settings(tmp_path, OWN + with_reviewer("mine"))
    assert found.vendors["mine"].api_key_env == "MY_KEY"
    assert not found.vendors["mine"].key_optional
    assert found.surface_of("mine") == "compatible"
    assert loader.surface(found.surface_of("mine")).apis == ("responses", "chat", "auto")
    assert (found.surface_of("anthropic"), found.surface_of("ollama")) == ("anthropic", "ollama")


def test_a_server_vouches_for_its_models_and_a_note_says_so(tmp_path: Path) -> None:
    found = loaded(tmp_path, OWN + with_reviewer("mine"))
    assert found.notes == ("mine/some-model is taken on the word of `vendors.mine.base_url`, with mine's usual knobs",)
    found = loaded(tmp_path, with_reviewer("ollama"))
    assert found.notes == (
        "ollama/some-model is taken on the word of `ollama`'s own server, with ollama's usual knobs",
    )


def test_prices_are_the_entrys_and_else_unknown(tmp_path: Path) -> None:
    usage = Usage(input=1_000_000, output=1_000_000)
    found = settings(tmp_path, OWN + with_reviewer("mine"))
    assert pricing("mine", "some-model", found) is None
    priced = 'vendors: {mine: {base_url: "https://h/v1", prices: {"*": {input: 1, output: 2}}}}\n'
    known = pricing("mine", "some-model", settings(tmp_path, priced + with_reviewer("mine")))
    assert known is not None
    assert known.cost(usage) == 3


def test_every_protocol_can_be_chosen(tmp_path: Path) -> None:
    for api in ("responses", "chat", "auto"):
        text = f'vendors: {{mine: {{base_url: "https://h/v1", api: {api}}}}}\n' + with_reviewer("mine")
        assert settings(tmp_path, text).vendors["mine"].api == api


KNOWN = ", ".join(loader.surface_names())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "vendors: {mine: {}}\n" + SOUND,
            (
                f"SW201 pipeline.yaml:1:11: vendors.mine: unknown vendor `mine`; known: {KNOWN}; "
                "a server of your own needs its `base_url` there"
            ),
        ),
        (
            with_reviewer("mine"),
            (
                f"SW201 pipeline.yaml:21:5: stages.reviewer.vendor: unknown vendor `mine`; known: {KNOWN}; "
                "or give it an entry of its own: `vendors.mine: {base_url: ...}`"
            ),
        ),
        (
            'vendors: {antropic: {base_url: "https://h"}}\n' + SOUND,
            "SW201 pipeline.yaml:1:11: vendors.antropic: unknown vendor `antropic`; did you mean `anthropic`?",
        ),
        (
            with_reviewer("compatible"),
            (
                "SW105 pipeline.yaml:1:1: vendors.compatible.base_url: the required key is missing: "
                'a stage uses `compatible`; add `base_url: "https://host/v1"` to its entry'
            ),
        ),
        (
            with_reviewer("openrouter", "openai/gpt-4.l"),
            (
                "SW202 pipeline.yaml:22:5: stages.reviewer.model: openrouter has no model `openai/gpt-4.l` we know; "
                "did you mean `openai/gpt-4.1`? Else declare it under `models:` if it is newer than this version"
            ),
        ),
        (
            'vendors: {mine: {base_url: "https://h/v1", replies: a.yaml}}\n' + with_reviewer("mine"),
            "SW104 pipeline.yaml:1:44: vendors.mine.replies: the vendor `mine` takes no `replies`; remove the key",
        ),
    ],
)
def test_a_mistake_says_what_to_type(tmp_path: Path, text: str, line: str) -> None:
    assert line in problem_lines(loaded(tmp_path, text))


def test_a_name_like_a_known_one_is_meant_when_a_stage_uses_it_too(tmp_path: Path) -> None:
    text = 'vendors: {openai-eu: {base_url: "https://eu.example/v1"}}\n' + with_reviewer("openai-eu")
    assert settings(tmp_path, text).surface_of("openai-eu") == "compatible"


@pytest.mark.parametrize(
    "entry", ['mine: {base_url: "https://evil.example/v1"}', 'ollama: {base_url: "http://10.0.0.1/v1"}',
              'azure: {base_url: "https://evil.example/v1"}', "vllm: {api_key_env: GITHUB_TOKEN}"],
)  # fmt: skip
def test_a_found_config_can_send_keys_to_no_server(tmp_path: Path, entry: str) -> None:
    name = entry.partition(":")[0]
    found = loaded(tmp_path, f"vendors: {{{entry}}}\n" + with_reviewer(name), trusted=False)
    assert [problem.code for problem in found.problems] == ["SW112"]
    assert problem_lines(loaded(tmp_path, f"vendors: {{{entry}}}\n" + with_reviewer(name))) == []


def test_a_found_config_may_use_servers_of_this_machine_and_those_the_environment_names(tmp_path: Path) -> None:
    text = 'vendors: {mine: {base_url: "http://127.0.0.1:7/v1"}}\n' + with_reviewer("mine")
    assert problem_lines(loaded(tmp_path, text, trusted=False)) == []
    found = loaded(tmp_path, with_reviewer("ollama"), environ={"OLLAMA_HOST": "http://gpu"}, trusted=False)
    assert problem_lines(found) == []
