"""The documentation names every code and every key, and no others."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.format import Either, Kind, Many, Named, Record, Unset
from pipeline.config.keys import FILE
from pipeline.problem import CODES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def headings() -> list[str]:
    return re.findall(r"^### (SW\d+): \S", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)


def names(kind: Kind) -> Iterator[str]:
    match kind:
        case Record():
            for key in kind.keys:
                yield key.name
                yield from names(key.kind)
        case Many() | Named() | Unset():
            yield from names(kind.of)
        case Either():
            yield from names(kind.structure)
        case _:
            return


def test_every_code_has_a_heading_and_every_heading_a_code() -> None:
    assert headings() == sorted(CODES)


def test_every_code_is_found_by_something() -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py") if path.name != "problem.py"
    ]
    used = {code for source in sources for code in re.findall(r'"(SW\d+)"', source)}
    assert used == set(CODES)


def test_every_key_is_explained() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    missing = {name for name in names(FILE) if f"`{name}`" not in text and f"`{name}:" not in text}
    assert missing == set()
