"""A small repository with a missing behaviour, and what a team of models would do about it."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.loopback import Brain, Say, by_turn

MODULE = '''"""Prices of a small shop, in cents."""


def total(prices: list[int], discount_percent: int = 0) -> int:
    """Return the sum of all prices after the discount."""
    return sum(prices)
'''
BASE_TEST = """from shop.price import total


def test_total_adds_up() -> None:
    assert total([100, 250]) == 350
"""
NEW_TEST = """from shop.price import total


def test_discount_is_applied() -> None:
    assert total([100, 300], discount_percent=25) == 300
"""
NAMED_TEST = "tests/test_discount.py::test_discount_is_applied"
TICKET = """---
id: discount
title: The discount has no effect
acceptance:
  - total([100, 300], discount_percent=25) is 300
---
`total` takes a discount and ignores it.
"""
RIGHT = "    return sum(prices) * (100 - discount_percent) // 100"
WRONG = "    return sum(prices) - discount_percent"
HALFWAY = "    return sum(prices) * (100 - discount_percent)"


def git(repository: Path, *arguments: str) -> str:
    """Run git as a user would, with nobody's configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(repository.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.invalid",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.invalid",
    }
    done = subprocess.run(
        ["git", *arguments], cwd=repository, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def make_repository(path: Path) -> Path:
    """Make the repository with one commit and return its path."""
    files = {
        "shop/__init__.py": "",
        "shop/price.py": MODULE,
        "tests/test_price.py": BASE_TEST,
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
        "discount.md": TICKET,
    }
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "A shop")
    return path


def fingerprint(folder: Path) -> str:
    """Return a digest of every byte, mode and modification time below a folder, `.git` included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        digest.update(f"{path.relative_to(folder)}\0{state.st_mode}\0{state.st_mtime_ns}\0".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def manifest(*, items: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the arguments of `submit_manifest`."""
    return {"summary": "Apply the discount", "work_items": items or [work_item()], "rationale": "It is ignored today."}


def work_item(name: str = "apply-discount") -> dict[str, Any]:
    """Return the one item of the manifest."""
    return {
        "id": name,
        "title": "Apply the discount",
        "depends_on": [],
        "files": [
            {"path": "shop/price.py", "operation": "modify", "symbols": [{"name": "total", "operation": "modify"}]},
            {"path": "tests/test_discount.py", "operation": "create", "symbols": []},
        ],
        "instructions": "Let total() apply discount_percent.",
        "acceptance": ["25 percent off 400 is 300"],
        "tests": [NAMED_TEST],
    }


def planner() -> Brain:
    """Look, then submit the manifest."""
    return by_turn(
        Say(text="Reading.", calls=[("read_file", {"path": "shop/price.py", "start_line": None, "end_line": None})]),
        Say(calls=[("submit_manifest", manifest())]),
    )


def coder(line: str = RIGHT, *, old: str = "    return sum(prices)") -> Brain:
    """Write the test, edit the function, run the test, finish."""
    return by_turn(
        Say(
            calls=[
                ("write_file", {"path": "tests/test_discount.py", "content": NEW_TEST}),
                ("edit_file", {"path": "shop/price.py", "old": old, "new": line}),
            ]
        ),
        Say(calls=[("run", {"command": "pytest -q tests/test_discount.py", "timeout": None})]),
        Say(calls=[("finish", {"summary": "The discount is applied."})]),
    )


def debugger(owner: str = "coder") -> Brain:
    """Run the test in the scratch copy, then say who owns the fix."""
    return by_turn(
        Say(calls=[("run", {"command": "pytest -q", "timeout": None})]),
        Say(
            calls=[
                (
                    "submit_diagnosis",
                    {"owner": owner, "evidence": ["the result is too large"], "brief": "Divide by 100."},
                )
            ]
        ),
    )


def reviewer() -> Brain:
    """Approve."""
    return by_turn(Say(calls=[("submit_review", {"verdict": "approve", "findings": []})]))
