"""The documented state is the real one: every table, column, event kind and field."""

import typing
from pathlib import Path

import pytest

from pipeline import events
from pipeline.memory.database import METADATA

TEXT = (Path(__file__).parents[2] / "docs" / "state.md").read_text(encoding="utf-8")
KINDS = {kind.model_fields["kind"].default: kind for kind in typing.get_args(events.AnyEvent)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_kind_is_documented_with_its_fields(kind: str) -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{kind}` |")]
    undocumented = [name for name in KINDS[kind].model_fields if name != "kind" and f"`{name}`" not in line]
    assert undocumented == []


def test_no_event_kind_is_documented_that_does_not_exist() -> None:
    section = TEXT.partition("## Events")[2]
    documented = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert documented == set(KINDS)


@pytest.mark.parametrize("table", METADATA.tables)
def test_every_column_is_documented(table: str) -> None:
    section = TEXT.partition("## Tables")[2].partition("## Events")[0]
    mine = section.partition(f"| `{table}` |")[2].partition("\n| `")[0]
    assert [column for column in METADATA.tables[table].columns.keys() if f"`{column}`" not in mine] == []  # noqa: SIM118 - a column collection iterates over columns
