"""Reads a ticket: Markdown with front matter, plain text or JSON, from a file or standard input."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.expand import Variables
from pipeline.config.format import Record
from pipeline.config.reader import FormatReader
from pipeline.config.report import Report, in_order
from pipeline.config.text_file import read_text_file
from pipeline.config.tree import Entry, Listing, Node, Scalar, Table
from pipeline.config.yaml_reader import read_yaml
from pipeline.errors import UsageError
from pipeline.problem import Position, PreflightError, Problem, problem
from pipeline.tickets.format import FRONT_MATTER, JSON_TICKET, without_synonyms
from pipeline.tickets.identity import first_valid_id
from stages.artifacts import Ticket, TicketScope

STDIN = "-"
FENCE = re.compile(r"^(---|\.\.\.)[ \t]*$", re.MULTILINE)
LONGEST_TITLE = 120


class TicketError(PreflightError):
    """A ticket cannot be used; `problems` says all that is wrong with it."""

    @property
    def problem(self) -> Problem:
        """Return the first problem."""
        return self.problems[0]


@dataclass(frozen=True, slots=True)
class ReadTicket:
    """A ticket, and where its fields stand."""

    ticket: Ticket
    positions: Mapping[str, Position]
    path: str


def read_ticket(argument: str, *, stdin: Callable[[], str], cwd: Path | None = None) -> Ticket:
    """Read the ticket a command line names: a file, or `-` for standard input.

    :raises TicketError: it cannot be read, is empty, or its fields are wrong.
    :raises UsageError: the argument names something that is no ticket file.
    """
    return read_with_positions(argument, stdin=stdin, cwd=cwd).ticket


def read_with_positions(argument: str, *, stdin: Callable[[], str], cwd: Path | None = None) -> ReadTicket:
    """Read a ticket as `read_ticket` does, and say where its fields stand."""
    if re.match(r"[a-z][a-z0-9+.-]*://", argument):
        raise UsageError(f"tickets by URL are not built yet: save {argument} as a .md file and name that")
    shown = "standard input" if argument == STDIN else argument
    path = (cwd or Path()) / argument
    if argument != STDIN and path.is_dir():
        raise UsageError(f"{argument} is a folder: several tickets are not built yet, name one file")
    report = Report(shown)
    text = stdin().removeprefix("\N{BYTE ORDER MARK}") if argument == STDIN else read_text_file(path, report)
    if text is not None and "\0" in text:
        report.refuse("SW301", "", "holds a NUL byte, so it is no text", "name a text file", at=Position(path=shown))
    if text is None or report.problems:
        raise TicketError([found.model_copy(update={"code": "SW301"}) for found in report.problems])
    ticket = _parsed(text.replace("\r\n", "\n"), argument, report)
    if ticket is None or report.problems:
        raise TicketError(in_order(report.problems))
    return ReadTicket(ticket, report.positions, shown)


def _parsed(text: str, argument: str, report: Report) -> Ticket | None:
    suffix = Path(argument).suffix.lower() if argument != STDIN else ""
    if suffix == ".json" or (suffix not in {".md", ".txt"} and text.lstrip().startswith("{")):
        fields = _json_fields(text, report)
    elif suffix != ".txt" and text.startswith("---") and FENCE.match(text):
        fields = _front_matter(text, report)
    else:
        fields = {"body": text}
    return None if fields is None or report.problems else _ticket(fields, argument, report)


def _front_matter(text: str, report: Report) -> dict[str, Any] | None:
    opened = FENCE.match(text)
    closed = FENCE.search(text, opened.end() if opened else 0)
    if opened is None or closed is None:
        at = Position(path=report.path, line=1, column=1)
        report.refuse("SW303", "", "the front matter has no end", "close it with a line `---`", at=at)
        return None
    root, problems = read_yaml(text[opened.end() + 1 : closed.start()], report.path, line_offset=1)
    report.problems += [_as_field(found) for found in problems]
    if problems:
        return None
    return {
        **_fields(root or Table({}, Position(path=report.path)), FRONT_MATTER, report),
        "body": text[closed.end() + 1 :],
    }


def _json_fields(text: str, report: Report) -> dict[str, Any] | None:
    doubled: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled.extend(name for index, (name, _) in enumerate(found) if name in dict(found[:index]))
        return dict(found)

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        at = Position(path=report.path, line=error.lineno, column=error.colno)
        report.refuse("SW303", "", f"not valid JSON: {error.msg}", "correct it", at=at)
        return None
    except RecursionError:
        report.refuse("SW303", "", "nested too deeply", "flatten it")
        return None
    for name in doubled:
        report.refuse("SW303", name, "duplicate key", "keep one", at=_json_position(name, text, report))
    if not isinstance(value, dict):
        report.refuse("SW303", "", "must be a JSON object", 'write {"title": "...", "body": "..."}')
        return None
    entries = {
        name: Entry(at := _json_position(name, text, report), _json_node(part, at))
        for name, part in value.items()
        if part is not None
    }
    return _fields(Table(entries, report.position("")), JSON_TICKET, report)


def _json_position(name: str, text: str, report: Report) -> Position:
    """Return where a key is written; what the text spells with escapes is shown at its start."""
    found = re.search(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:", text)
    before = text[: found.start()] if found else ""
    return Position(path=report.path, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def _json_node(value: Any, at: Position) -> Node:
    if isinstance(value, dict):
        return Table({name: Entry(at, _json_node(part, at)) for name, part in value.items()}, at)
    if isinstance(value, list):
        return Listing(tuple(_json_node(part, at) for part in value), at)
    return Scalar(value, False, at) if isinstance(value, str) else Scalar(json.dumps(value), True, at)


def _fields(root: Node, record: Record, report: Report) -> dict[str, Any]:
    inner = Report(report.path)
    read = FormatReader(inner, Variables({}), record).read(root, record, "")
    report.problems += [_as_field(found) for found in inner.problems]
    report.positions.update(inner.positions)
    fields, doubled = without_synonyms(read if isinstance(read, dict) else {})
    for name in doubled:
        report.refuse("SW303", name, "stands beside the field it is another word for", "keep one of the two")
    return fields


def _as_field(found: Problem) -> Problem:
    return found.model_copy(update={"code": "SW303"})


def _ticket(fields: Mapping[str, Any], argument: str, report: Report) -> Ticket | None:
    body, acceptance = fields.get("body", "").strip(), tuple(fields.get("acceptance", ()))
    title = fields.get("title") or _title(body) or next(iter(acceptance), "")
    if not title:
        report.refuse("SW302", "", "is empty", "write what is wanted", at=Position(path=report.path))
        return None
    stem = Path(argument).stem if argument != STDIN else None
    identifier = first_valid_id([fields["id"]] if "id" in fields else [stem, title])
    if not identifier:
        report.refuse("SW304", "id", "no id can be made of it", "add `id: ...` of letters, digits, `.`, `_`, `-`")
        return None
    lists = {name: tuple(fields.get(name, ())) for name in ("checks", "labels", "deliverables")}
    return Ticket(
        id=identifier,
        title=title,
        body=body,
        acceptance=acceptance,
        scope=TicketScope(**{name: tuple(globs) for name, globs in fields.get("scope", {}).items()}),
        base=fields.get("base"),
        source=argument,
        **lists,
    )


def _title(body: str) -> str:
    """Return the first heading, else the first line."""
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    heading = next((line for line in lines if re.match(r"#{1,6}\s+\S", line)), None)
    line = (heading or next(iter(lines), "")).lstrip("#").strip()
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def unknown_checks(read: ReadTicket, configured: Sequence[str]) -> list[Problem]:
    """Return a problem for each check the ticket names and the configuration does not have."""
    report = Report(read.path)
    report.positions.update(read.positions)
    known = f"configured: {', '.join(configured)}"
    return [
        problem("SW305", f"`{name}` is not a configured check", known, at=report.position("checks"), key="checks")
        for name in read.ticket.checks
        if name not in configured
    ]
