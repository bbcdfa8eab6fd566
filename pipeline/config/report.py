"""Collects what is found while a file is read: problems, warnings, notes, and where every value stands."""

from collections.abc import Iterable

from pipeline.config.keypath import parent
from pipeline.problem import Code, Position, Problem, problem


class Report:
    """Everything found about one file so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.positions: dict[str, Position] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.notes: list[str] = []

    def refuse(self, code: Code, key: str, message: str, hint: str, *, at: Position | None = None) -> None:
        """Add a problem of the value at `key`; a value that is not there is shown where its parent stands."""
        self.problems.append(problem(code, message, hint, at=at or self.position(key), key=key or None))

    def warn(self, code: Code, key: str, message: str, hint: str) -> None:
        """Add a warning."""
        self.warnings.append(problem(code, message, hint, at=self.position(key), key=key or None))

    def note(self, text: str) -> None:
        """Add a remark that asks for nothing; the same one is kept once."""
        if text not in self.notes:
            self.notes.append(text)

    def position(self, key: str) -> Position:
        """Return where a value stands, or the nearest value around it that was written."""
        while key and key not in self.positions:
            key = parent(key)
        return self.positions.get(key) or Position(path=self.path, line=1, column=1)


def in_order(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order a reader of the file meets them, each once."""
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda one: (one.path or "", one.line or 0, one.column or 0)))
