"""Writes a first pipeline.yaml for a repository: its own checks, and the vendor whose key is there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.overrides import override
from pipeline.config.yaml_reader import read_yaml
from pipeline.config.yaml_writer import write_yaml
from pipeline.problem import PreflightError

LARGEST = 1 << 20
PYTHON_MARKS = ("pytest.ini", "conftest.py", "tests/conftest.py", "setup.py", "setup.cfg", "tox.ini", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Models:
    """A vendor's strong and its everyday model."""

    vendor: str
    strong: str
    everyday: str


CHOICES = {
    "ANTHROPIC_API_KEY": Models("anthropic", "claude-opus-5-5", "claude-sonnet-5-5"),
    "OPENAI_API_KEY": Models("openai", "gpt-6-astra", "gpt-6.1-sol"),
    "GEMINI_API_KEY": Models("google", "gemini-4-argon", "gemini-3.8-flash"),
    "GOOGLE_API_KEY": Models("google", "gemini-4-argon", "gemini-3.8-flash"),
}


def chosen_models(environ: Mapping[str, str]) -> tuple[Models, str | None]:
    """Return the models of the first vendor whose key is set, and the variable; anthropic where none is."""
    variable = next((name for name in CHOICES if environ.get(name, "").strip()), None)
    return CHOICES[variable or "ANTHROPIC_API_KEY"], variable


def detected_checks(folder: Path) -> list[str]:
    """Return the checks of a repository as YAML list entries, each with a line that says why."""
    checks = []
    if _has_python(folder):
        checks.append(_PYTEST)
    script = _npm_test(folder)
    if script is not None:
        checks.append(_NPM.format(script=" ".join(script.split())[:80]))
    return checks or [_UNKNOWN]


def starter(folder: Path, environ: Mapping[str, str]) -> str:
    """Return the text of a first configuration."""
    models, variable = chosen_models(environ)
    why = f"{variable} is set" if variable else "no key is set yet: set ANTHROPIC_API_KEY, or name another vendor"
    commands = _setup_commands(folder)
    setup = _SETUP.format(commands=json.dumps(commands)) if commands else ""
    return _FILE.format(
        why=why,
        vendor=models.vendor,
        strong=models.strong,
        everyday=models.everyday,
        checks="".join(detected_checks(folder)),
        setup=setup,
    )


def with_overrides(text: str, overrides: tuple[str, ...]) -> str:
    """Return the configuration with overrides written into it; its comments are lost then.

    :raises PreflightError: an override is none.
    """
    root, problems = read_yaml(text, "pipeline.yaml")
    assert root is not None
    for one in overrides:
        root, found = override(root, one)
        problems += found
    if problems:
        raise PreflightError(problems)
    return write_yaml(root)


def _has_python(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in PYTHON_MARKS) or any((folder / "tests").glob("test_*.py"))


def _installable(folder: Path) -> bool:
    if (folder / "setup.py").is_file():
        return True
    return "[build-system]" in _text(folder / "pyproject.toml") or "[project]" in _text(folder / "pyproject.toml")


def _setup_commands(folder: Path) -> list[str]:
    commands = ["pip install -e ."] if _installable(folder) else []
    locked = any((folder / name).is_file() for name in ("package-lock.json", "npm-shrinkwrap.json"))
    return [*commands, "npm ci"] if locked else commands


def _npm_test(folder: Path) -> str | None:
    try:
        package = json.loads(_text(folder / "package.json") or "{}")
    except (json.JSONDecodeError, RecursionError):
        return None
    scripts = package.get("scripts") if isinstance(package, dict) else None
    script = scripts.get("test") if isinstance(scripts, dict) else None
    return script if isinstance(script, str) and "no test specified" not in script else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


_PYTEST = """\
  - name: tests # found: a Python project
    run: "pytest -q --junitxml=$REPORT"
    report: junit
    focus: "pytest -q {tests} --junitxml=$REPORT"
    timeout: 10m
"""
_NPM = """\
  - name: npm-test # found in package.json: {script}
    run: "npm test"
    timeout: 10m
"""
_UNKNOWN = """\
  - name: tests # no test runner was recognised: write the command that runs your tests
    run: "make test"
    timeout: 10m
"""
_SETUP = """\
  setup: {commands} # cached; write `pip install -e '.[test]'` or the like if tests need more
  setup_timeout: 10m
  network: setup # only while `setup` runs
"""
_FILE = """\
# How stagewright works on this repository. `stagewright check` judges this file and says what a run can cost at most.
# For completion in an editor: `stagewright schema > pipeline.schema.json`, and as first line here
#   # yaml-language-server: $schema=pipeline.schema.json
# Keys never stand in this file ({why}).
limits:
  tokens: 1_500_000 # no call is made that could exceed it
  wall_clock: 2h

stages:
  planner:
    vendor: {vendor}
    model: {strong}
    timeout: 300s # of one attempt
    retry_budget: 1 # attempts = 1 + retry_budget
    on_exhaust: surface_to_human
  coder:
    vendor: {vendor}
    model: {everyday}
    timeout: 20m
    retry_budget: 2
    escalation: # the rung of the first retry and of every later one
      - {{model: {strong}, timeout: 30m}}
  debugger: # or `debugger: none`
    vendor: {vendor}
    model: {strong}
    timeout: 300s
    retry_budget: 1
  reviewer: # or `reviewer: none`
    vendor: {vendor}
    model: {everyday}
    timeout: 300s
    retry_budget: 1

checks: # what must be green; the runner runs them
{checks}
sandbox: # the image is chosen: devcontainer.json, lock files, else stagewright/python; `image:` names another
{setup}  memory: 4g
  disk: 2g
"""
