"""Answer from a script, by the number of the model's turns in the request: stateless, so resuming just works."""

import json
from collections.abc import Sequence
from math import ceil

import anyio

from pipeline.surface import Binding
from pipeline.vendors.scripted.script import Script, ScriptedReply, load
from stages.model import Model, ModelError, ModelTurn, Reply, Request, Tool, ToolCall, Turn, Usage, UserTurn


def connect(binding: Binding) -> Model:
    """Read the file of replies and return the model.

    :raises ModelError: kind bad_request where the file is missing or wrong.
    """
    return ScriptedModel(binding.model, load(binding.replies), binding.replies or "")


class ScriptedModel:
    """One model id of a script."""

    def __init__(self, model: str, script: Script, path: str) -> None:
        self._model = model
        self._script = script
        self._path = path

    async def complete(self, request: Request) -> Reply:
        """Return the reply of this turn, after its `wait`.

        :raises ModelError: the scripted failure, or kind protocol where the script has nothing to say.
        """
        turn = sum(isinstance(turn, ModelTurn) for turn in request.turns)
        reply = self._find(request, turn)
        if reply.wait:
            await anyio.sleep(reply.wait)
        if reply.error:
            failure = reply.error
            raise ModelError(
                failure.kind, failure.message, retry_after=failure.retry_after, generated=failure.generated
            )
        calls = tuple(
            ToolCall(f"call-{turn + 1}-{number}", call.name, call.arguments, call.raw)
            for number, call in enumerate(reply.calls, 1)
        )
        stop = reply.stop or ("tools" if calls else "done")
        usage = _usage(request, reply)
        return Reply(ModelTurn(reply.text, calls), stop, usage, model=self._model, id=f"scripted-{turn + 1}")

    async def count_tokens(self, request: Request) -> int | None:
        """Return a quarter of the request's bytes, as the usage of a reply without one does."""
        return _tokens(_bytes(request.system, request.tools, request.turns))

    def _find(self, request: Request, turn: int) -> ScriptedReply:
        said = [each.text for each in request.turns if isinstance(each, UserTurn)]
        conversations = self._script.models.get(self._model)
        if conversations is None:
            raise self._silent(f"has no model {self._model!r} (it has {', '.join(sorted(self._script.models))})")
        for number, conversation in enumerate(conversations):
            if conversation.when is not None and not any(conversation.when in text for text in said):
                continue
            if turn < len(conversation.replies):
                return conversation.replies[turn]
            have = len(conversation.replies)
            raise self._silent(f"models.{self._model}[{number}] has {have} replies, turn {turn + 1} was asked for")
        raise self._silent(f"models.{self._model} has no conversation whose `when` occurs in what was said")

    def _silent(self, why: str) -> ModelError:
        return ModelError("protocol", f"scripted vendor: {self._path}: {why}")


def _usage(request: Request, reply: ScriptedReply) -> Usage:
    """Return the scripted usage, else a quarter of the bytes; what an earlier turn already sent counts as cached."""
    if reply.usage:
        said = reply.usage
        return Usage(said.input, said.cache_read, said.cache_write, said.output, said.reasoning)
    turns = request.turns
    last_said = max((index for index, turn in enumerate(turns) if isinstance(turn, ModelTurn)), default=None)
    sent_before = 0 if last_said is None else _tokens(_bytes(request.system, request.tools, turns[:last_said]))
    output = len(reply.text.encode()) + sum(
        len(call.name) + len(json.dumps(call.arguments).encode() if call.arguments is not None else call.raw.encode())
        for call in reply.calls
    )
    return Usage(_tokens(_bytes(request.system, request.tools, turns)), sent_before, 0, max(1, _tokens(output)))


def _tokens(size: int) -> int:
    return ceil(size / 4)


def _bytes(system: str, tools: Sequence[Tool], turns: Sequence[Turn]) -> int:
    size = len(system.encode())
    size += sum(len(f"{tool.name}{tool.description}{json.dumps(dict(tool.parameters))}".encode()) for tool in tools)
    for turn in turns:
        size += len(turn.text.encode())
        if isinstance(turn, UserTurn):
            size += sum(len(result.content.encode()) for result in turn.results)
        else:
            size += sum(len(f"{call.name}{json.dumps(call.arguments)}{call.raw}".encode()) for call in turn.calls)
    return size
