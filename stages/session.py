"""The conversation of one attempt: ask the model, carry out its calls in order, until a terminal tool ends it.

The conversation is only ever appended to, so that each request extends the one before it byte for byte.
What the model, the sandbox or the observer raise passes through: it is the runner's to judge.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.base import SandboxLostError
from stages.artifacts import Failure
from stages.contract import StageContext, StageResult
from stages.excerpt import excerpt
from stages.model import ModelTurn, Reply, Request, Tool, ToolCall, ToolResult, Turn, UserTurn
from stages.tool import BadArgumentsError, RefusedError, StageTool

IDENTICAL_CALLS = 5
BAD_TERMINAL_ARGUMENTS = 2
_RAW_SHOWN = 400
_ARGUMENTS_SHOWN = 200


class _EndedError(Exception):
    """The attempt is over."""

    def __init__(self, result: StageResult) -> None:
        super().__init__(result.outcome)
        self.result = result


@dataclass(slots=True)
class Session:
    """One attempt's conversation.

    Plain text instead of a call is reminded once; a call in between earns another reminder.
    """

    context: StageContext
    tools: Mapping[str, StageTool[Any]]
    offers: Sequence[Tool]
    turns: list[Turn]
    limit: int
    seconds: float
    raised: bool = False
    reminded: bool = False
    warned: bool = False
    bad_terminal_arguments: int = 0
    last: tuple[str, str, str] = ("", "", "")
    repeated: int = 0
    results: list[ToolResult] = field(default_factory=list)

    async def run(self) -> StageResult:
        """Converse until the attempt is over."""
        try:
            while True:
                turn = await self._ask()
                self.turns.append(turn)
                self.turns.append(await self._answer(turn))
        except _EndedError as ended:
            return ended.result

    async def _ask(self) -> ModelTurn:
        reply = await self._complete()
        if reply.stop == "truncated":
            ceiling = self.context.output_tokens_ceiling
            if self.raised or self.limit >= ceiling:
                raise _unusable("truncated", _where_cut(reply.usage.output, self.limit))
            self.raised = True
            self.limit = min(2 * self.limit, ceiling)
            return await self._ask()
        if reply.stop == "refused":
            raise _unusable("refused", "the model refused to answer")
        return reply.turn

    async def _complete(self) -> Reply:
        request = Request(self.context.system, tuple(self.turns), self.offers, self.limit)
        return await self.context.model.complete(request)

    async def _answer(self, turn: ModelTurn) -> UserTurn:
        if not turn.calls:
            return self._remind()
        self.reminded = False
        self.results = []
        over = False
        for call in turn.calls:
            tool = self.tools.get(call.name)
            if over:
                await self._refuse(call, RefusedError("after_terminal", "not carried out: it follows a terminal tool"))
            else:
                await self._carry_out(call, tool)
                self._judge_progress(call, self.results[-1].content)
                over = tool is not None and tool.terminal
        return UserTurn(self._time_note(), tuple(self.results))

    def _remind(self) -> UserTurn:
        if self.reminded:
            raise _unusable("no_tool_call", "the reply had no tool call, and neither had the one after a reminder")
        self.reminded = True
        terminal = " or ".join(name for name, tool in self.tools.items() if tool.terminal)
        return UserTurn(f"Your reply had no tool call. Go on by calling a tool; when you are done, call {terminal}.")

    async def _carry_out(self, call: ToolCall, tool: StageTool[Any] | None) -> None:
        before = self.context.remaining()
        try:
            if tool is None:
                known = ", ".join(self.tools)
                raise RefusedError("unknown_tool", f"there is no tool {call.name!r}; the tools are {known}")  # noqa: TRY301 - every refusal is answered in one place
            said = await _called(tool, _arguments(call))
        except RefusedError as refusal:
            await self._refuse(call, refusal)
            self._count_bad_terminal(tool, refusal)
            return
        seconds = max(0.0, before - self.context.remaining())
        text = said if isinstance(said, str) else said.outcome
        await self.context.observer.called(call.name, call.arguments or {}, text, seconds=seconds)
        if isinstance(said, StageResult):
            raise _EndedError(said)
        self._say(call, text)

    async def _refuse(self, call: ToolCall, refusal: RefusedError) -> None:
        arguments = call.arguments if call.arguments is not None else {"raw": call.raw}
        await self.context.observer.refused(call.name, arguments, refusal.code, refusal.reason)
        self._say(call, f"Refused ({refusal.code}): {refusal.reason}", is_error=True)

    def _say(self, call: ToolCall, content: str, *, is_error: bool = False) -> None:
        self.results.append(ToolResult(call.id, call.name, content, is_error))

    def _judge_progress(self, call: ToolCall, content: str) -> None:
        arguments = call.raw if call.arguments is None else json.dumps(call.arguments, sort_keys=True)
        this = (call.name, arguments, content)
        self.repeated = self.repeated + 1 if this == self.last else 1
        self.last = this
        if self.repeated >= IDENTICAL_CALLS:
            shown = excerpt(arguments, _ARGUMENTS_SHOWN)
            message = f"{call.name} {shown} was called {IDENTICAL_CALLS} times running with the same result"
            failure = Failure(kind="no_progress", code="repeated_call", message=message)
            raise _EndedError(StageResult("no_progress", failure=failure))

    def _count_bad_terminal(self, tool: StageTool[Any] | None, refusal: RefusedError) -> None:
        if tool is None or not tool.terminal or not isinstance(refusal, BadArgumentsError):
            return
        self.bad_terminal_arguments += 1
        if self.bad_terminal_arguments > BAD_TERMINAL_ARGUMENTS:
            raise _unusable("bad_arguments", f"{tool.name} was called with bad arguments again: {refusal.reason}")

    def _time_note(self) -> str:
        remaining = self.context.remaining()
        if self.warned or remaining * 3 > self.seconds:
            return ""
        self.warned = True
        return f"Two thirds of your time are spent: {max(0, int(remaining))} seconds are left. Come to an end."


async def converse(context: StageContext, tools: Sequence[StageTool[Any]], opening: str) -> StageResult:
    """Hold one attempt's conversation, beginning with the typed input as text."""
    session = Session(
        context,
        {tool.name: tool for tool in tools},
        tuple(tool.offer() for tool in tools),
        [UserTurn(opening)],
        min(context.max_output_tokens, context.output_tokens_ceiling),
        context.remaining(),
    )
    return await session.run()


async def _called(tool: StageTool[Any], arguments: Mapping[str, Any]) -> str | StageResult:
    try:
        return await tool.call(arguments)
    except SandboxLostError:
        # The whole call again, on the tree as it was before it; a second loss is the runner's to judge.
        return await tool.call(arguments)


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    if call.arguments is None:
        raise BadArgumentsError(f"the arguments are not a JSON object: {excerpt(call.raw, _RAW_SHOWN)}")
    return call.arguments


def _where_cut(output: int, limit: int) -> str:
    if 0 < output < limit:
        return (
            f"the reply was cut after {output} output tokens, before its limit of {limit}: "
            "the model's context is full, or its server has a limit of its own"
        )
    return f"the reply was cut at {limit} output tokens"


def _unusable(code: str, message: str) -> _EndedError:
    return _EndedError(StageResult("unusable", failure=Failure(kind="unusable", code=code, message=message)))
