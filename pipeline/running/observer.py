"""Write every tool call of an attempt into the journal."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.events import GateRefused, ToolCalled
from pipeline.memory.journal import Journal
from stages.artifacts import StageName

SUMMARY_CHARACTERS = 160
TELLING = ("path", "command", "pattern", "summary", "owner", "verdict", "question", "reason")


class JournalObserver:
    """The observer of one attempt; `ran_command` says that the Debugger would have command output to look at.

    `over` is called at the end of every tool call.
    """

    def __init__(
        self, journal: Journal, stage: StageName, item: str | None, attempt: int, over: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._over = over
        self._stage = stage
        self._item = item
        self._attempt = attempt
        self._output: str | None = None
        self.ran_command = False

    async def called(self, tool: str, arguments: Mapping[str, Any], result: str, *, seconds: float) -> None:
        """Record a call that was carried out."""
        output, self._output = self._output, None
        self.ran_command = self.ran_command or tool == "run"
        self._journal.append(
            ToolCalled(
                stage=self._stage,
                item=self._item,
                attempt=self._attempt,
                tool=tool,
                summary=summary(arguments),
                arguments=self._journal.put(_json(arguments)),
                result=self._journal.put(result.encode(errors="replace")),
                output=output,
                seconds=round(seconds, 3),
            )
        )
        self._over()

    async def refused(self, tool: str, arguments: Mapping[str, Any], code: str, reason: str) -> None:
        """Record a call that was refused."""
        del arguments  # may hold anything the model made up; the reason names what matters
        self._journal.append(
            GateRefused(stage=self._stage, item=self._item, attempt=self._attempt, tool=tool, code=code, message=reason)
        )
        self._over()

    async def output(self, content: bytes) -> None:
        """Keep a command's output; the call that is recorded next names it."""
        self._output = self._journal.put(content)


def summary(arguments: Mapping[str, Any]) -> str:
    """Return the argument that tells most about a call, on one line."""
    telling = next((arguments[name] for name in TELLING if arguments.get(name)), "")
    line = " ".join(str(telling).split())
    return line if len(line) <= SUMMARY_CHARACTERS else line[: SUMMARY_CHARACTERS - 1] + "…"


def _json(arguments: Mapping[str, Any]) -> bytes:
    # Half a surrogate pair, which no encoding has, becomes the escape that JSON has for it.
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True).encode(errors="backslashreplace")
