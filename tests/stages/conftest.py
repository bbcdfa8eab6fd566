from pathlib import Path

import pytest

from tests.stages.work_tree import WorkTree

FILES = {
    "src/dates.py": b"def leap(year):\n    return year % 4 == 0\n",
    "src/crlf.py": b"first = 1\r\nsecond = 2\r\nthird = 3\r\n",
    "tests/test_dates.py": b"def test_leap():\n    assert True\n",
    "README.md": b"# Dates\n",
    ".gitignore": b"*.log\n.cache/\n",
    "logo.png": b"\x89PNG\0\0binary",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tree(tmp_path: Path) -> WorkTree:
    root = tmp_path / "work"
    for path, content in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return WorkTree(root)
