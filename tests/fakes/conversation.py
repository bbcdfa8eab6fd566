"""A model whose replies a test writes down, and an observer that remembers what it was told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stages.model import ModelTurn, Reply, Request, StopReason, ToolCall, ToolResult, Usage, UserTurn


def call(name: str, /, **arguments: Any) -> ToolCall:
    return ToolCall(f"call-{name}", name, arguments)


def reply(*calls: ToolCall, text: str = "", stop: StopReason | None = None, native: Any = None) -> Reply:
    return Reply(ModelTurn(text, calls, native), stop or ("tools" if calls else "done"), Usage())


class ScriptedModel:
    """Answers with the replies in their order; an exception among them is raised."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        if not self.replies:
            raise AssertionError(f"the conversation has no reply {len(self.requests)}")
        answer = self.replies.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def count_tokens(self, request: Request) -> int | None:
        return None

    @property
    def opening(self) -> str:
        first = self.requests[0].turns[0]
        assert isinstance(first, UserTurn)
        return first.text

    @property
    def last_turn(self) -> UserTurn:
        turn = self.requests[-1].turns[-1]
        assert isinstance(turn, UserTurn)
        return turn

    @property
    def results(self) -> list[ToolResult]:
        """Every tool result of the whole conversation, as the last request had them."""
        turns = self.requests[-1].turns
        return [result for turn in turns if isinstance(turn, UserTurn) for result in turn.results]


@dataclass
class RecordingObserver:
    calls: list[tuple[str, Mapping[str, Any], str]] = field(default_factory=list)
    refusals: list[tuple[str, str, str]] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    async def called(self, tool: str, arguments: Mapping[str, Any], result: str, *, seconds: float) -> None:
        self.calls.append((tool, arguments, result))
        self.seconds.append(seconds)

    async def refused(self, tool: str, arguments: Mapping[str, Any], code: str, reason: str) -> None:
        self.refusals.append((tool, code, reason))

    async def output(self, content: bytes) -> None:
        self.outputs.append(content)

    @property
    def codes(self) -> list[str]:
        return [code for _, code, _ in self.refusals]


def contents(results: Sequence[ToolResult]) -> list[str]:
    return [result.content for result in results]
