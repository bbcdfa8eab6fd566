"""The JSON Schema describes the same file that the reader reads."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from pipeline.config.json_schema import json_schema
from pipeline.config.keys import FILE
from pipeline.config.settings import Limits, SandboxSettings
from tests.config.files import SOUND, changed, loaded
from tests.config.test_problems import SHAPE

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema(FILE, "pipeline.yaml of stagewright")
# Everything the format knows, what is not built yet included.
EVERYTHING = """\
version: 1
limits: {tokens: 1_500_000, cost: 10.00, wall_clock: 2h, work_items: 12, batch: {tokens: 20_000_000}}
models:
  opus: claude-opus-5-5
  next: {id: claude-next, like: claude-opus-5-5, prices: {input: 4, output: 20}}
vendors:
  ollama: {api: chat, base_url: "http://127.0.0.1:11434/v1", api_key: none, prices: {"*": {input: 0, output: 0}}}
stages:
  planner: {vendor: anthropic, model: opus, timeout: 300s, retry_budget: 1, effort: high, on_exhaust: surface_to_human}
  coder:
    vendor: anthropic
    model: claude-sonnet-5-5
    timeout: 20m
    retry_budget: 3
    max_output_tokens: 16000
    instructions: docs/coding-rules.md
    tokens: 900_000
    escalation: [{effort: high}, {model: opus, timeout: 30m}, {effort: null}]
    fallback: [{vendor: openai, model: gpt-6.1-sol}]
  debugger: {vendor: anthropic, model: opus, timeout: 300s, retry_budget: 1, attaches_to: any_stage, can_route_to: [coder], escalation: {compute: increased}}
  reviewer: {vendor: google, model: gemini-3.8-flash, temperature: 0.2, timeout: "${T}", retry_budget: 1}
checks:
  - {name: tests, run: pytest, report: junit, focus: "pytest {tests}", timeout: 10m}
repo: {subdir: services/api}
sandbox: {dockerfile: b, setup: ["pip install -e ."], setup_timeout: 10m, network: {allowlist: [api.test]}, memory: 4g, cpus: 2, pids: 512, disk: 2g, runtime: runsc}
"""  # noqa: E501 - a file as a user writes it


def mistakes(text: str) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", ["pipeline.yaml", "examples/demo/pipeline.yaml"])
def test_the_shipped_files_fit_the_schema(path: str) -> None:
    assert mistakes((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", [EVERYTHING, SOUND])
def test_every_key_fits_the_schema(text: str) -> None:
    assert mistakes(text) == []


def test_numbers_with_underscores_fit_for_editors_that_read_them_as_texts() -> None:
    text = SOUND.replace("1_500_000", '"1_500_000"')
    assert mistakes(text) == []


@pytest.mark.parametrize(
    "name",
    ["a missing timeout names the stage", "the words of similar tools are translated", "a negative time limit is none",
     "a word is no time limit", "an unknown choice is answered by the nearest", "no checks are no checks",
     "a stage is switched off in so many words", "only debugger and reviewer can be switched off",
     "the debugger has no on_exhaust", "a list is not a mapping", "a version of the future is refused"],
)  # fmt: skip
def test_what_the_reader_refuses_for_its_shape_the_schema_refuses_too(name: str, tmp_path: Path) -> None:
    text = changed(SOUND, *SHAPE[name][0])
    assert loaded(tmp_path, text).problems
    assert mistakes(text)


def test_every_key_is_described() -> None:
    def walk(schema: dict[str, Any], path: str) -> list[str]:
        missing = []
        for name, inner in schema.get("properties", {}).items():
            if not inner.get("description"):
                missing.append(f"{path}.{name}")
            missing += walk(inner, f"{path}.{name}")
        return missing

    assert walk(SCHEMA, "") == [line for record in SCHEMA["definitions"].values() for line in walk(record, "")]


def test_the_defaults_shown_are_those_in_force(tmp_path: Path) -> None:
    sandbox = SCHEMA["properties"]["sandbox"]["properties"]
    shown = {name: key["default"] for name, key in sandbox.items() if "default" in key}
    assert shown == {
        "network": "none",
        "memory": "4g",
        "cpus": 2,
        "pids": 512,
        "disk": "2g",
    }
    written = "sandbox: " + json.dumps(shown)
    settings = loaded(tmp_path, SOUND + written).settings
    assert settings is not None
    assert settings.sandbox == SandboxSettings()
    assert (
        SCHEMA["properties"]["limits"]["properties"]["work_items"]["default"]
        == Limits(tokens=1, wall_clock=1).work_items
    )


def test_the_schema_in_the_documentation_is_this_one() -> None:
    path = ROOT / "docs" / "pipeline.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == SCHEMA, (
        "write it anew: stagewright schema > docs/pipeline.schema.json"
    )
