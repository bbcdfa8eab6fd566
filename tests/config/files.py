"""Small configurations for tests, and what loading them prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.config.load import Loaded, load

# The lines are counted by the tests: add to the end only.
SOUND = """\
limits:
  tokens: 1_500_000
  wall_clock: 2h
stages:
  planner:
    vendor: anthropic
    model: claude-opus-5-5
    timeout: 300s
    retry_budget: 1
  coder:
    vendor: anthropic
    model: claude-sonnet-5-5
    timeout: 20m
    retry_budget: 3
  debugger:
    vendor: anthropic
    model: claude-opus-5-5
    timeout: 300s
    retry_budget: 1
  reviewer:
    vendor: google
    model: gemini-3.8-flash
    timeout: 120s
    retry_budget: 1
checks:
  - name: tests
    run: "pytest -q --junitxml=$REPORT"
    report: junit
    timeout: 10m
"""


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Return the text with each first occurrence replaced; a change that changes nothing is a mistake."""
    for old, new in changes:
        assert old in text, f"{old!r} is not there"
        text = text.replace(old, new, 1)
    return text


def loaded(
    folder: Path,
    text: str,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    trusted: bool = True,
) -> Loaded:
    """Load a text as `pipeline.yaml` of a folder."""
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, overrides=overrides, environ=environ or {}, trusted=trusted, shown="pipeline.yaml")


def problem_lines(found: Loaded) -> list[str]:
    """Return what `check` prints for the problems."""
    return [problem.line_text() for problem in found.problems]


def warning_lines(found: Loaded) -> list[str]:
    """Return what `check` prints for the warnings."""
    return [warning.line_text() for warning in found.warnings]
