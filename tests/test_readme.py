"""What the documents say exists: commands, options, targets, exit codes and configurations."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli import OURS
from pipeline.config.load import load
from pipeline.errors import EXIT_CODES, USAGE_ERROR

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").glob("**/*.md"))]
IDS = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
KEYS = {"ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x", "GEMINI_API_KEY": "x"}


def code(document: Path) -> Iterator[str]:
    """Yield each line of code: of fenced blocks, comments cut, and of inline spans."""
    parts = re.split(r"^```(?:[a-z]*)\n(.*?)^```$", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for place, part in enumerate(parts):
        if place % 2:
            yield from (line.split("  #")[0].strip() for line in part.splitlines())
        else:
            yield from re.findall(r"`([^`\n]+)`", part)


def commands(document: Path) -> list[list[str]]:
    """Return the words after each `stagewright` that a document tells to type."""
    lines = (re.search(r"(?:^|[\s/])stagewright (.*)", f" {line}") for line in code(document))
    return [found[1].split() for found in lines if found]


def options(name: str) -> set[str]:
    """Return every option of a command, those of its subcommands included."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"{OURS.package}.{name}").configure(parser)
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return {option for each in parsers for action in each._actions for option in action.option_strings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_command_and_option_shown_exists(document: Path) -> None:
    for name, *words in commands(document):
        if name in {"--version", "--help", "COMMAND"}:
            continue
        assert name in OURS.names(), f"`stagewright {name}` does not exist"
        unknown = {word.split("=")[0] for word in words if word.startswith("--")} - options(name)
        assert unknown == set(), f"`stagewright {name}` has no {unknown}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_make_target_shown_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    shown = (line.split()[1:] for line in code(document) if line.startswith("make "))
    assert {word for words in shown for word in words if "=" not in word} <= targets


def test_the_readme_shows_commands_at_all() -> None:
    assert {words[0] for words in commands(ROOT / "README.md")} >= {"run", "check", "resume", "report"}


def test_the_exit_codes_shown_are_the_exit_codes_there_are() -> None:
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    shown = {ending.replace(" ", "_"): int(exit_code) for exit_code, ending in rows}
    assert shown == dict([*EXIT_CODES.items(), ("usage_error", USAGE_ERROR)])


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_configuration_shown_loads(document: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for place, block in enumerate(block for block in blocks if re.search(r"^stages:", block, flags=re.MULTILINE)):
        file = tmp_path / f"{place}.yaml"
        file.write_text(block)
        loaded = load(file, overrides=(), environ=KEYS, trusted=True)
        assert [problem.line_text() for problem in loaded.problems] == []


def test_every_setting_of_the_shipped_configuration_loads() -> None:
    loaded = load(ROOT / "pipeline.yaml", overrides=(), environ=KEYS, trusted=True)
    assert [problem.line_text() for problem in loaded.problems] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
