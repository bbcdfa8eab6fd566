"""A model that answers from a `Brain`, without any wire."""

import json
from collections.abc import Mapping

import anyio

from pipeline.surface import Binding
from stages.model import ModelError, ModelTurn, Reply, Request, StopReason, ToolCall, Usage, UserTurn
from tests.loopback import Brain, Conversation, Result, Say

WORDS_TOKENS = 4


class BrainModel:
    """One model; a `Say` with the fault `hang` never answers, one with a status fails as a server would."""

    def __init__(self, brain: Brain, binding: Binding) -> None:
        self._brain = brain
        self._binding = binding

    async def complete(self, request: Request) -> Reply:
        say = self._brain(_conversation(request, self._binding))
        if say.fault == "hang":
            await anyio.sleep_forever()
        if say.status != 200:
            raise _error(say)
        calls = tuple(
            ToolCall(f"call-{number}", name, None if isinstance(arguments, str) else arguments, str(arguments))
            for number, (name, arguments) in enumerate(say.calls)
        )
        stop: StopReason = "tools" if calls else "done"
        if say.stop == "truncated":
            stop = "truncated"
        return Reply(ModelTurn(say.text, calls), stop, say.usage or _usage(request, say), model=self._binding.model)

    async def count_tokens(self, request: Request) -> int | None:
        return _usage(request, Say()).input


def _error(say: Say) -> ModelError:
    after = float(say.headers["retry-after"]) if "retry-after" in say.headers else None
    if say.status == 429:
        return ModelError("rate_limit", say.message, retry_after=after, generated=False, status=429)
    if say.status == 401:
        return ModelError("auth", say.message, generated=False, status=401)
    return ModelError("server", say.message, status=say.status)


def _usage(request: Request, say: Say) -> Usage:
    texts = sum(len(turn.text) for turn in request.turns) + len(request.system)
    return Usage(
        input=texts // WORDS_TOKENS, output=max(1, len(json.dumps([say.text, list(say.calls)])) // WORDS_TOKENS)
    )


def _conversation(request: Request, binding: Binding) -> Conversation:
    said = [turn for turn in request.turns if isinstance(turn, UserTurn)]
    return Conversation(
        model=binding.model,
        system=request.system,
        texts=[turn.text for turn in said if turn.text],
        turn=len(request.turns) - len(said),
        tool_results=[Result(r.name, r.content, r.is_error) for turn in said for r in turn.results],
        tools=[tool.name for tool in request.tools],
        max_output_tokens=request.max_output_tokens,
        effort=binding.effort,
        temperature=binding.temperature,
    )


class Cast:
    """Connects every binding to the brain of its model and remembers who was asked."""

    def __init__(self, brains: Mapping[str, Brain]) -> None:
        self.brains = dict(brains)
        self.bindings: list[Binding] = []

    async def connect(self, vendor: str, binding: Binding) -> BrainModel:
        del vendor
        self.bindings.append(binding)
        return BrainModel(self.brains[binding.model], binding)
