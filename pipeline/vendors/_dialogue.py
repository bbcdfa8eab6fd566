"""A conversation as one text, for programs that take a single message per call."""

import re
from collections.abc import Sequence

from pipeline.vendors._native import unseal
from pipeline.vendors.compatible.text_tools import answered, written
from stages.model import ModelTurn, Request, Turn, UserTurn

EXPLAINED = """
# The conversation

The message holds the whole conversation so far, oldest turn first. Each turn begins with a line such as `{user}` or
`{model}`; the latter are your own. Only such lines begin a turn, whatever a turn quotes. Answer the last turn, and
write no such line yourself.
"""


def prompt(request: Request, vendor: str, model: str) -> tuple[str, str]:
    """Return (what the system text says of the form, empty where there is but one turn; the message)."""
    said = [_said(turn, vendor, model) for turn in request.turns]
    if len(said) == 1:
        return "", said[0]
    user, own = _headings(said)
    blocks = [
        f"{own if isinstance(turn, ModelTurn) else user}\n{text}"
        for turn, text in zip(request.turns, said, strict=True)
    ]
    return EXPLAINED.format(user=user, model=own), "\n\n".join(blocks)


def _said(turn: Turn, vendor: str, model: str) -> str:
    if isinstance(turn, UserTurn):
        return "\n\n".join(part for part in (answered(turn.results), turn.text) if part)
    kept = unseal(turn, vendor, model)
    return kept if isinstance(kept, str) else written(turn.text, turn.calls)


def _headings(said: Sequence[str]) -> tuple[str, str]:
    """Return two lines that no turn holds: what a tool read must not be able to speak for anybody."""
    longest = max((len(run) for text in said for run in re.findall(r"={3,}", text)), default=0)
    bar = "=" * max(5, longest + 1)
    return f"{bar} user {bar}", f"{bar} assistant {bar}"
