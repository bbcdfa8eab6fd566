"""A model behind a vendor's own command-line program: one process per call, of which only the text is taken.

The program's own tools are off, so ours go through the text protocol. Its exit code is never believed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.vendors._dialogue import prompt
from pipeline.vendors._environment import scrubbed
from pipeline.vendors._native import seal
from pipeline.vendors._private_place import Place, places, private_place
from pipeline.vendors._process import Command, FloodError, Listener, NotRunnableError, run
from pipeline.vendors._wire import hidden
from pipeline.vendors.compatible.text_tools import extract, offered
from stages.model import ModelError, ModelTurn, Reply, Request, StopReason, Usage

CALL_SECONDS = 1800.0  # nothing hangs for ever; a stage's own, shorter deadline is around the call


@dataclass(frozen=True, slots=True)
class Ask:
    """One call as a program takes it."""

    system: str
    prompt: str
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said, in our terms."""

    text: str
    stop: StopReason
    usage: Usage
    model: str
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Ears(Protocol):
    """Listens to one run of a program and makes an answer of it."""

    def said(self, line: str) -> bool:
        """Take a line of standard output; True ends the program."""
        ...

    def complained(self, line: str) -> bool:
        """Take a line of standard error; True ends the program."""
        ...

    def answer(self, code: int | None) -> Answer:
        """Return what it came to; the exit code is None where we ended the program.

        :raises ModelError: no answer.
        """
        ...


class Program(Protocol):
    """What one vendor's program differs in."""

    def invocation(self, ask: Ask, place: Place) -> tuple[Sequence[str], Mapping[str, str]]:
        """Write what the program reads below `place.home`; return its arguments and its own variables.

        :raises ModelError: kind auth where there is no login to hand over.
        """
        ...

    def ears(self, ask: Ask) -> Ears:
        """Return a fresh listener."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLineModel:
    """A model that a program speaks for. `secret` is never part of an error."""

    vendor: str
    model: str
    command: str
    program: Program
    environ: Mapping[str, str]
    base_url: str | None
    secret: Callable[[], str | None]

    async def complete(self, request: Request) -> Reply:
        """Answer once; see `stages.model.Model`."""
        explained, message = prompt(request, self.vendor, self.model)
        ask = Ask(request.system + offered(request.tools) + explained, message, request.max_output_tokens)
        try:
            answer = await self._answer(ask)
        except ModelError as error:
            failure = hidden(error, self.secret())
        else:
            return _reply(self.vendor, self.model, answer, sum(isinstance(turn, ModelTurn) for turn in request.turns))
        raise failure

    async def count_tokens(self, request: Request) -> int | None:  # noqa: ARG002 - the seam's signature
        """Return None: no program counts without generating."""
        return None

    async def _answer(self, ask: Ask) -> Answer:
        ears = self.program.ears(ask)
        with private_place(places(self.environ)) as place:
            arguments, own = self.program.invocation(ask, place)
            environ = scrubbed(self.environ, place, self.base_url) | dict(own)
            command = Command((self.command, *arguments), environ, place.work, ask.prompt.encode())
            code = await self._run(command, ears)
        return ears.answer(code)

    async def _run(self, command: Command, ears: Ears) -> int | None:
        try:
            return await run(command, Listener(ears.said, ears.complained), seconds=CALL_SECONDS)
        except NotRunnableError as error:
            name = Path(command.arguments[0]).name
            hint = f"{error}; `stagewright check` says how to install {name}"
            raise ModelError("bad_request", hint, generated=False) from None
        except FloodError as error:
            raise ModelError("protocol", f"{self.vendor}: {error}") from None
        except TimeoutError:
            raise ModelError("timeout", f"{self.vendor} gave no answer in {CALL_SECONDS:.0f} s") from None


def _reply(vendor: str, model: str, answer: Answer, turn: int) -> Reply:
    found = extract(answer.text, turn + 1)
    native = seal(vendor, model, found.kept)
    stop = "tools" if found.calls and answer.stop == "done" else answer.stop
    said = ModelTurn(found.text, found.calls, native)
    return Reply(said, stop, answer.usage, model=answer.model, id=answer.id, metadata=answer.metadata)
