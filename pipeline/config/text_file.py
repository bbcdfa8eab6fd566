"""Reads the text of a file that a person wrote, or says why it cannot be read."""

from pathlib import Path

from pipeline.config.report import Report
from pipeline.problem import Position

LARGEST = 1 << 20


def read_text_file(path: Path, report: Report) -> str | None:
    """Return the text, None after a problem."""
    at = Position(path=report.path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        report.refuse("SW101", "", f"cannot be read: {error.strerror}", "name an existing file", at=at)
        return None
    if len(content) > LARGEST:
        report.refuse("SW101", "", f"is larger than {LARGEST >> 20} MiB", "shorten it", at=at)
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        at = Position(path=report.path, line=line, column=column)
        report.refuse("SW101", "", "is not UTF-8 text", "save it as UTF-8", at=at)
        return None
