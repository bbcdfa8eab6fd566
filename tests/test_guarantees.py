"""Every test the page of guarantees names is there to be run."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guarantees.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def named() -> list[tuple[str, str]]:
    return NAMED.findall(PAGE.read_text(encoding="utf-8"))


def test_every_test_named_on_the_page_exists() -> None:
    missing = [f"{path}::{name}" for path, name in named() if name not in defined_in(ROOT / path)]
    assert missing == []


def test_every_promise_names_a_test() -> None:
    promises, _, _ = PAGE.read_text(encoding="utf-8").partition("## What it does not guarantee")
    lines = re.split(r"^\* ", promises, flags=re.MULTILINE)[1:]
    assert len(lines) > 30
    assert [line for line in lines if not NAMED.search(line)] == []
