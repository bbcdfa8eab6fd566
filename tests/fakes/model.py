"""A model that says what it is told to, in order, and remembers what it was asked."""

from collections.abc import Awaitable, Callable, Sequence

from stages.model import ModelTurn, Reply, Request, StopReason, Tool, ToolCall, Usage, UserTurn

Answer = Reply | BaseException | Callable[[Request], Awaitable[Reply]]
Count = int | None | BaseException | Callable[[Request], Awaitable[int | None]]


class ScriptedModel:
    """Each answer is a reply, an exception to raise, or a coroutine function that makes one.

    `counts` are what it counts, in order, or raises; without any it takes a character for a token.
    """

    def __init__(self, answers: Sequence[Answer], counts: Sequence[Count] | None = None) -> None:
        self._answers = list(answers)
        self._counts = None if counts is None else list(counts)
        self.counted: list[Request] = []
        self.asked: list[Request] = []
        self.opened = 0

    async def open(self) -> "ScriptedModel":
        """Stand in for the loader that imports an SDK."""
        self.opened += 1
        return self

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Reply) else await answer(request)

    async def count_tokens(self, request: Request) -> int | None:
        self.counted.append(request)
        if self._counts is None:
            return sum(len(turn.text) for turn in request.turns)
        count = self._counts.pop(0)
        if isinstance(count, BaseException):
            raise count
        return await count(request) if callable(count) else count


def reply(
    text: str = "done",
    *,
    input_tokens: int = 900,
    output_tokens: int = 100,
    cache_read: int = 0,
    stop: StopReason = "done",
    calls: Sequence[ToolCall] = (),
) -> Reply:
    """Return an answer with its usage."""
    usage = Usage(input=input_tokens, cache_read=cache_read, output=output_tokens)
    return Reply(ModelTurn(text, tuple(calls), native={"text": text}), stop, usage, model="small-1", id="response-1")


def request(text: str = "hello", *, max_output_tokens: int = 4_000) -> Request:
    """Return a request with one turn and one tool."""
    tool = Tool("finish", "Say that it is done.", {"type": "object", "properties": {}, "additionalProperties": False})
    return Request("You are terse.", (UserTurn(text),), (tool,), max_output_tokens)
