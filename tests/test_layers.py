import ast
from pathlib import Path

import pytest

from tests.import_rules import Module, modules, problems

ROOT = Path(__file__).parents[1]


def check(**sources: str) -> list[str]:
    """Judge small sources, given as `folder__name="source"`."""
    paths = {_path(name): source for name, source in sources.items()}
    found = [Module(path, ast.parse(f'"""One sentence."""\n{source}')) for path, source in paths.items()]
    return problems({module.name: module for module in found})


def _path(name: str) -> str:
    folder, package, _ = name.partition("____init__")
    return folder.replace("__", "/") + ("/__init__.py" if package else ".py")


def test_every_module_keeps_the_import_rules() -> None:
    found = modules(ROOT)
    assert len(found) > 50, "the packages were not found"
    assert problems(found) == []


@pytest.mark.parametrize(
    "source",
    ["import pipeline.flow", "from pipeline import flow", "from pipeline.flow import next_step"],
)
def test_an_import_upwards_is_found(source: str) -> None:
    assert "above it" in check(stages__coder=source, pipeline__flow="")[0]


def test_an_import_downwards_is_fine() -> None:
    assert check(pipeline__flow="from stages import model\nfrom sandbox.base import Sandbox", stages__model="") == []


@pytest.mark.parametrize(
    "source",
    [
        "def run():\n    import json",
        "if True:\n    import json",
        "try:\n    import json\nexcept ImportError:\n    pass",
    ],
)
def test_a_hidden_import_is_found(source: str) -> None:
    assert "not at module level" in check(pipeline__flow=source)[0]


def test_an_import_by_name_belongs_to_a_loader() -> None:
    source = "import importlib\nimportlib.import_module('json')"
    assert "by name" in check(pipeline__flow=source)[0]
    assert check(pipeline__loader=source) == []


@pytest.mark.parametrize(
    ("package", "right", "wrong"),
    [
        ("anthropic", "pipeline__vendors__anthropic__adapter", "pipeline__vendors__openai__adapter"),
        ("google.genai", "pipeline__vendors__google__adapter", "pipeline__metering__prices"),
        ("openai", "pipeline__vendors__openai__adapter", "stages__coder"),
        ("docker", "sandbox__image", "pipeline__running__runner"),
        ("git", "pipeline__git__repository", "pipeline__running__runner"),
        ("yaml", "pipeline__config__reader", "pipeline__running__runner"),
        ("rich", "pipeline__reporting__live_table", "pipeline__reporting__live"),
    ],
)
def test_a_foreign_package_stays_behind_its_seam(package: str, right: str, wrong: str) -> None:
    assert check(**{right: f"import {package}"}) == []
    assert any("outside" in line for line in check(**{wrong: f"import {package}"}))


def test_a_vendor_is_known_without_its_sdk() -> None:
    package, adapter = "pipeline__vendors__openai____init__", "pipeline__vendors__openai__adapter"
    sources = {adapter: "import openai", package: "x = 1"}
    assert check(**sources) == []
    sources[package] = "from pipeline.vendors.openai import adapter"
    assert "leads to openai" in check(**sources)[0]


def test_a_circle_of_modules_is_found() -> None:
    circle = check(pipeline__a="from pipeline import b", pipeline__b="from pipeline.a import x")
    assert "in a circle" in circle[0]


def test_a_module_without_a_docstring_or_with_an_empty_name_is_found() -> None:
    found = {"pipeline.utils": Module("pipeline/utils.py", ast.parse("x = 1"))}
    assert problems(found) == ["pipeline/utils.py: has no docstring", "pipeline/utils.py: its name says nothing"]
