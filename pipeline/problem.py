"""What preflight found wrong, in a form a person, an editor and a program can each use."""

from collections.abc import Sequence
from typing import Literal, get_args

from pipeline.errors import StagewrightError
from stages.artifacts import Frozen

Code = Literal[
    # the file and its shape
    "SW101",  # cannot be read
    "SW102",  # not YAML
    "SW103",  # duplicate key
    "SW104",  # unknown key
    "SW105",  # missing
    "SW106",  # wrong type, unit or choice
    "SW107",  # out of range
    "SW108",  # sexagesimal or octal number
    "SW109",  # not built yet
    "SW110",  # environment variable
    "SW111",  # a key in the file
    "SW112",  # a found config is not trusted
    "SW113",  # --set
    "SW114",  # two words for one thing
    # what the configuration means
    "SW201",  # unknown vendor
    "SW202",  # unknown model
    "SW203",  # knob outside the model's capability
    "SW204",  # no known price under a cost limit
    "SW205",  # deprecated model
    "SW206",  # budgets contradict
    "SW207",  # more escalation than retries
    "SW208",  # the Debugger is weaker
    "SW209",  # small cap or share
    "SW210",  # a stage that is not configured
    "SW211",  # too little memory
    "SW212",  # a file the config names
    "SW213",  # a check's definition
    "SW214",  # a check's command and its report
    "SW215",  # a time limit the run's cannot hold
    "SW216",  # the project's folder
    "SW217",  # a fallback that is no other model
    # tickets
    "SW301",  # cannot be read
    "SW302",  # empty
    "SW303",  # its fields
    "SW304",  # its id
    "SW305",  # its checks
    # the surroundings
    "SW401",  # Docker
    "SW402",  # image
    "SW403",  # repository
    "SW404",  # base
    "SW405",  # branch
    "SW406",  # key not set
    "SW407",  # the image cannot be used or built
    "SW408",  # runtime
    "SW409",  # files of the base commit
    "SW410",  # the project's folder is not there
    "SW411",  # address not set
    "SW412",  # a program is missing
    "SW413",  # a program's version
    "SW414",  # a program's login
    # what a probe found
    "SW501",  # a model did not answer
]
CODES: tuple[Code, ...] = get_args(Code)


class Position(Frozen):
    """Where a value stands; line and column count from 1. `override` is the `--set` text that gave it."""

    path: str
    line: int | None = None
    column: int | None = None
    override: str | None = None

    def __str__(self) -> str:
        parts = [self.path, self.line, self.column]
        return ":".join(str(part) for part in parts if part is not None)


class Problem(Frozen):
    """One thing wrong. `path` is the file as the user would name it, or `command line`; `hint` is what to type."""

    code: Code
    path: str | None
    line: int | None
    column: int | None
    key: str | None
    message: str
    hint: str = ""

    def line_text(self) -> str:
        """Return the problem as one printable line."""
        place = str(Position(path=self.path, line=self.line, column=self.column)) if self.path else None
        where = [part for part in (place, self.key) if part]
        text = ": ".join([*where, self.message]) + (f"; {self.hint}" if self.hint else "")
        return f"{self.code} " + "".join(_visible(character) for character in text)


def problem(code: Code, message: str, hint: str = "", *, at: Position | None = None, key: str | None = None) -> Problem:
    """Make a problem found at a position; one given by `--set` names the option, not its value: it may be a key."""
    if at is not None and at.override is not None:
        name, separator, _ = at.override.partition("=")
        message = f"{message} (`--set {name}{separator and '=...'}`)"
    return Problem(
        code=code,
        path=at.path if at else None,
        line=at.line if at else None,
        column=at.column if at else None,
        key=key,
        message=message,
        hint=hint,
    )


class PreflightError(StagewrightError):
    """A run was refused before anything was spent; the message has one line per problem."""

    exit_code = 3
    label = ""  # each line begins with its own code

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(found.line_text() for found in problems))
        self.problems = tuple(problems)


def _visible(character: str) -> str:
    """A value from a file must not break the line or drive the terminal."""
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
