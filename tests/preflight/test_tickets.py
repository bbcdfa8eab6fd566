"""Tickets of every form are read alike, and what is wrong with one is said with its place."""
# ruff: noqa: E501 - a row of a table is a line

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.tickets.identity import valid_id
from pipeline.tickets.reading import TicketError, read_ticket, read_with_positions, unknown_checks
from stages.artifacts import Ticket, TicketScope

FULL = """\
---
id: PROJ-12
title: Round half to even
acceptance:
  - 0.125 becomes 0.12
scope: {allow: ["src/**"], deny: [migrations]}
base: main
checks: [tests]
labels: bug
---
# Rounding

It is wrong.
"""


def ticket(folder: Path, text: str, name: str = "fix-rounding.md") -> Ticket:
    (folder / name).write_text(text, encoding="utf-8")
    return read_ticket(name, stdin=str, cwd=folder)


def refusals(folder: Path, text: str, name: str = "ticket.md") -> list[str]:
    with pytest.raises(TicketError) as refused:
        ticket(folder, text, name)
    return [problem.line_text() for problem in refused.value.problems]


def test_front_matter_and_body_make_a_ticket(tmp_path: Path) -> None:
    assert ticket(tmp_path, FULL) == Ticket(
        id="proj-12",
        title="Round half to even",
        body="# Rounding\n\nIt is wrong.",
        acceptance=("0.125 becomes 0.12",),
        scope=TicketScope(allow=("src/**",), deny=("migrations",)),
        base="main",
        checks=("tests",),
        labels=("bug",),
        source="fix-rounding.md",
    )


def test_plain_text_is_a_ticket_named_after_its_file(tmp_path: Path) -> None:
    read = ticket(tmp_path, "---\nThe rule above is text.\n", "Fix It.txt")
    assert (read.id, read.title, read.body) == ("fix-it", "---", "---\nThe rule above is text.")


def test_json_has_the_same_names_and_those_of_other_tools(tmp_path: Path) -> None:
    ours = {"id": "a", "title": "T", "body": "B", "acceptance": ["x"], "labels": ["l"], "base": None}
    theirs = {"task_id": "a", "title": "T", "description": "B", "success_criteria": ["x"], "labels": ["l"]}
    first = ticket(tmp_path, json.dumps(ours), "t.json")
    second = ticket(tmp_path, json.dumps(theirs), "t.json")
    assert first == second == Ticket(id="a", title="T", body="B", acceptance=("x",), labels=("l",), source="t.json")
    assert ticket(tmp_path, json.dumps({**theirs, "deliverables": ["d.py"]}), "t.json").deliverables == ("d.py",)


def test_standard_input_is_read_for_what_it_looks_like() -> None:
    assert read_ticket("-", stdin=lambda: "Fix the rounding!\nPlease.").id == "fix-the-rounding"
    assert read_ticket("-", stdin=lambda: FULL).id == "proj-12"
    assert read_ticket("-", stdin=lambda: '{"title": "Round", "body": "B"}').id == "round"


def test_a_number_is_taken_as_an_id_as_it_is_written(tmp_path: Path) -> None:
    assert ticket(tmp_path, "---\nid: 007\n---\nText").id == "007"


def test_the_title_is_the_first_heading_else_the_first_line(tmp_path: Path) -> None:
    assert ticket(tmp_path, "Intro\n\n## The heading\n").title == "The heading"
    assert ticket(tmp_path, "\nJust this.\nMore.\n").title == "Just this."
    assert len(ticket(tmp_path, "x" * 500).title) == 120


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_bytes(b"\xef\xbb\xbf---\r\nid: a\r\n---\r\nText\r\n")
    read = read_ticket("t.md", stdin=str, cwd=tmp_path)
    assert (read.id, read.body) == ("a", "Text")


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        ("", "ticket.md", ["SW302 ticket.md: is empty; write what is wanted"]),
        (" \n\n", "t.txt", ["SW302 t.txt: is empty; write what is wanted"]),
        ("---\nlabels: [a]\n---\n", "ticket.md", ["SW302 ticket.md: is empty; write what is wanted"]),
        ("{}", "t.json", ["SW302 t.json: is empty; write what is wanted"]),
        ("---\nid: a\n", "ticket.md", ["SW303 ticket.md:1:1: the front matter has no end; close it with a line `---`"]),
        (
            "---\nid: a\nacceptence: x\n---\nText",
            "ticket.md",
            ["SW303 ticket.md:3:1: acceptence: unknown key; did you mean `acceptance`?"],
        ),
        (
            "---\nid: [a]\nscope: {alow: x}\n---\nText",
            "ticket.md",
            [
                "SW303 ticket.md:2:1: id: must be a single value, not a list; write it on one line",
                "SW303 ticket.md:3:9: scope.alow: unknown key; did you mean `allow`?",
            ],
        ),
        (
            "---\nid: a\nid: b\n---\nText",
            "ticket.md",
            ["SW303 ticket.md:3:1: id: duplicate key, first at line 2, column 1; keep one of the two"],
        ),
        (
            "---\nid: [\n---\nText",
            "ticket.md",
            [("SW303 ticket.md:3:1: not valid YAML: expected the node content, but found '<stream end>'; "
             "check indentation, colons and quotes")],
        ),
        (
            "---\nacceptance: a\nsuccess_criteria: b\n---\nText",
            "ticket.md",
            [("SW303 ticket.md:3:1: success_criteria: stands beside the field it is another word for; "
             "keep one of the two")],
        ),
        ('{"title": "a",}', "t.json", ["SW303 t.json:1:15: not valid JSON: Expecting property name enclosed in double quotes; correct it"]),
        ("[1]", "t.json", ['SW303 t.json:1:1: must be a JSON object; write {"title": "...", "body": "..."}']),
        ('{"title": "a", "title": "b"}', "t.json", ["SW303 t.json:1:2: title: duplicate key; keep one"]),
        (
            '{\n  "title": "a",\n  "lables": ["x"]\n}',
            "t.json",
            ["SW303 t.json:3:3: lables: unknown key; did you mean `labels`?"],
        ),
        (
            "---\nid: \N{CJK UNIFIED IDEOGRAPH-4E00}\n---\nText",
            "ticket.md",
            ["SW304 ticket.md:2:1: id: no id can be made of it; add `id: ...` of letters, digits, `.`, `_`, `-`"],
        ),
        ("a\0b", "ticket.md", ["SW301 ticket.md: holds a NUL byte, so it is no text; name a text file"]),
    ],
)  # fmt: skip
def test_a_wrong_ticket_is_refused_with_its_place(text: str, name: str, lines: list[str], tmp_path: Path) -> None:
    assert refusals(tmp_path, text, name) == lines


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TicketError) as refused:
        read_ticket("nowhere.md", stdin=str, cwd=tmp_path)
    assert refused.value.problem.line_text() == (
        "SW301 nowhere.md: cannot be read: No such file or directory; name an existing file"
    )


@pytest.mark.parametrize("argument", [".", "https://github.com/o/r/issues/1"])
def test_folders_and_addresses_are_usage_errors_for_now(argument: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not built yet"):
        read_ticket(argument, stdin=str, cwd=tmp_path)


def test_a_check_that_is_not_configured_is_named_where_the_ticket_names_it(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text(FULL.replace("[tests]", "[tests, lnit]"), encoding="utf-8")
    read = read_with_positions("t.md", stdin=str, cwd=tmp_path)
    assert [problem.line_text() for problem in unknown_checks(read, ["tests", "lint"])] == [
        "SW305 t.md:8:1: checks: `lnit` is not a configured check; configured: tests, lint"
    ]


@given(st.text(max_size=80))
def test_an_id_is_empty_or_valid_and_stays_as_it_is(text: str) -> None:
    identifier = valid_id(text)
    assert valid_id(identifier) == identifier
    if identifier:
        assert Ticket(id=identifier, title="t", body="").id == identifier


@settings(max_examples=40, deadline=None)
@given(st.text(st.sampled_from("ab.-_/~^:@{}[]\\ LOCK.lock"), max_size=30))
def test_git_takes_every_id_as_a_branch(text: str) -> None:
    identifier = valid_id(text)
    if identifier:
        reference = f"refs/heads/stagewright/{identifier}"
        assert subprocess.run(["git", "check-ref-format", reference], check=False).returncode == 0
