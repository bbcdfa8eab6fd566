"""A Coder's attempts over a vendor's wire: the stage's real code, a folder for a sandbox, files of a usual size."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stages.artifacts import Failure, FileChange, Manifest, WorkItem
from stages.coder import run
from stages.contract import Feedback, StageContext
from stages.model import Model, Reply, Request, Usage
from stages.prompts import prompt
from tests.fakes.conversation import RecordingObserver
from tests.fakes.directory_sandbox import directory_sandbox
from tests.loopback import Brain, Conversation, LoggedRequest, LoopbackServer, Say
from tests.sandbox.trees import make_base
from tests.stages.setting import TICKET, Clock
from tests.vendors.bench import Bench

TURNS = 30
PATHS = tuple(f"ledger/account_{number:02}.py" for number in range(10))
THOUGHT = "This account still rounds half up, like the one before, so its callers have to be looked at first. "
ITEM = WorkItem(
    id="round-half-even",
    title="Round half to even",
    files=tuple(FileChange(path=path, operation="modify") for path in PATHS),
    instructions="Every account rounds half to even; the interface stays as it is.",
    tests=("tests/test_accounts.py",),
)


@dataclass(frozen=True)
class Attempt:
    """What one attempt sent and what each of its calls used."""

    sent: Sequence[LoggedRequest]
    usages: Sequence[Usage]

    @property
    def cached_share(self) -> float:
        """The share of all input tokens that was read from the vendor's cache."""
        return sum(usage.cache_read for usage in self.usages) / sum(usage.input for usage in self.usages)


@dataclass
class _Heard:
    """Passes everything on and remembers what was used."""

    model: Model
    usages: list[Usage] = field(default_factory=list)

    async def complete(self, request: Request) -> Reply:
        reply = await self.model.complete(request)
        self.usages.append(reply.usage)
        return reply

    async def count_tokens(self, request: Request) -> int | None:
        return await self.model.count_tokens(request)


def coder_attempts(bench: Bench, *turns: int) -> list[Attempt]:
    """Hold attempts of so many turns at one item, each told how the one before ended, on one server with its cache."""

    async def hold(model: Model, server: LoopbackServer) -> list[Attempt]:
        attempts: list[Attempt] = []
        with tempfile.TemporaryDirectory(prefix="coder-session-") as folder:
            base = make_base(Path(folder), _files())
            for number, length in enumerate(turns):
                server.brain = brain(length)
                heard, before = _Heard(model), len(server.log)
                async with directory_sandbox(base) as sandbox:
                    context = StageContext(
                        ticket=TICKET,
                        model=heard,
                        sandbox=sandbox,
                        observer=RecordingObserver(),
                        system=prompt("coder"),
                        max_output_tokens=16_000,
                        output_tokens_ceiling=64_000,
                        remaining=Clock(),
                        conventions="Money is whole cents. " * 40,
                        manifest=Manifest(summary="Round half to even", work_items=(ITEM,)),
                        item=ITEM,
                        feedback=_feedback(number),
                    )
                    result = await run(context)
                assert result.outcome == "passed", result
                attempts.append(Attempt(server.log[before:], heard.usages))
        assert bench.refusals(server) == []
        return attempts

    return bench.run(brain(), hold, effort="high")


def brain(turns: int = TURNS) -> Brain:
    """Read a file, edit it, run something; and so on through the files, until `finish`."""

    def says(conversation: Conversation) -> Say:
        turn = conversation.turn
        if turn >= turns - 1:
            return Say(calls=[("finish", {"summary": "Every account rounds half to even."})])
        return Say(f"Step {turn + 1}. {THOUGHT * 3}", calls=[_STEPS[turn % len(_STEPS)](turn)])

    return says


def _read(turn: int) -> tuple[str, dict[str, object]]:
    return "read_file", {"path": PATHS[turn // 3 % len(PATHS)], "start_line": None, "end_line": None}


def _edit(turn: int) -> tuple[str, dict[str, object]]:
    path = PATHS[turn // 3 % len(PATHS)]
    return "edit_file", {"path": path, "old": "RULE = 'half up'", "new": "RULE = 'half even'"}


def _run(turn: int) -> tuple[str, dict[str, object]]:
    return "run", {"command": f"grep -n 'cents' {PATHS[turn // 3 % len(PATHS)]} | head -30", "timeout": None}


_STEPS: tuple[Callable[[int], tuple[str, dict[str, object]]], ...] = (_read, _edit, _run)


def _files() -> dict[str, bytes]:
    lines = "".join(f"def entry_{at}(cents: int) -> int:\n    return posted(cents, {at})\n\n\n" for at in range(40))
    return {path: f"RULE = 'half up'\nNAME = {path!r}\n\n\n{lines}".encode() for path in PATHS}


def _feedback(number: int) -> Feedback:
    if number == 0:
        return Feedback()
    failure = Failure(kind="checks", message=f"attempt {number} left a test red", tests=ITEM.tests)
    return Feedback(failure=failure, previous_diff="-RULE = 'half up'\n+RULE = 'half down'\n" * 20)
