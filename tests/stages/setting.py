"""What the stages' tests work with: a ticket, an item, and a context made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sandbox.base import Sandbox
from stages.artifacts import FileChange, Manifest, Ticket, WorkItem
from stages.contract import StageContext
from tests.fakes.conversation import RecordingObserver, ScriptedModel

FILES = {
    "src/dates.py": b"def leap(year):\n    return year % 4 == 0\n",
    "src/crlf.py": b"first = 1\r\nsecond = 2\r\nthird = 3\r\n",
    "tests/test_dates.py": b"def test_leap():\n    assert True\n",
    "README.md": b"# Dates\n",
    ".gitignore": b"*.log\n.cache/\n",
    "logo.png": b"\x89PNG\0\0binary",
}
TICKET = Ticket(id="leap-years", title="Leap years", body="Centuries are no leap years.", acceptance=("1900 is none",))
ITEM = WorkItem(
    id="fix-leap",
    title="Fix leap",
    files=(
        FileChange(path="src/dates.py", operation="modify"),
        FileChange(path="src/crlf.py", operation="modify"),
        FileChange(path="src/new.py", operation="create"),
        FileChange(path="README.md", operation="delete"),
    ),
    instructions="Centuries are leap years only when 400 divides them.",
    tests=("tests/test_dates.py::test_leap",),
)
MANIFEST = Manifest(summary="Fix leap years", work_items=(ITEM,))


@dataclass
class Clock:
    """Seconds left of an attempt: each look takes the next of `script`, the last one stays."""

    script: Sequence[float] = (600.0,)
    looks: int = field(default=0)

    def __call__(self) -> float:
        seconds = self.script[min(self.looks, len(self.script) - 1)]
        self.looks += 1
        return seconds


def context_of(model: ScriptedModel, sandbox: Sandbox, observer: RecordingObserver, **changes: Any) -> StageContext:
    values: dict[str, Any] = {
        "ticket": TICKET,
        "model": model,
        "sandbox": sandbox,
        "observer": observer,
        "system": "You are a stage.",
        "max_output_tokens": 1000,
        "output_tokens_ceiling": 8000,
        "remaining": Clock(),
        "manifest": MANIFEST,
        "item": ITEM,
    }
    return StageContext(**(values | changes))


class Folder(Protocol):
    @property
    def root(self) -> Path: ...


def text(tree: Folder, path: str) -> str:
    """Return a file's text with its line endings as they are."""
    return (tree.root / path).read_bytes().decode()
