"""Chat completions through OpenAI's SDK, put as the server takes them: what it refuses by name is learnt once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.surface import ADAPTED, Binding
from pipeline.vendors._stream import received
from pipeline.vendors._wire import guarded
from pipeline.vendors.compatible.dialect import Dialect, step_down, with_usage, without_calls, words
from pipeline.vendors.compatible.errors import translate
from pipeline.vendors.compatible.reply import read
from pipeline.vendors.compatible.request import completion, maker
from pipeline.vendors.compatible.stream import Completion
from pipeline.vendors.openai.client import Client
from stages.model import ModelError, ModelTurn, Reply, Request, UserTurn

# What answered requests showed of (base_url, model), for the rest of this process; and where tools were ever called.
_LEARNT: dict[tuple[str, str], Dialect] = {}
_CALLED: set[tuple[str, str]] = set()


class ChatModel:
    """One model of a server, with its settings."""

    def __init__(self, client: Client, binding: Binding, base_url: str, dialect: Dialect) -> None:
        self._client = client
        self._binding = binding
        self._base_url = base_url
        self._first = dialect
        self._told: set[str] = set()

    async def complete(self, request: Request) -> Reply:
        """Answer once; see `stages.model.Model`. A refused parameter costs nothing and is left out at once."""
        place = (self._base_url, self._binding.model)
        dialect = _LEARNT.get(place, self._first)
        while True:
            try:
                reply = await self._ask(request, dialect)
            except ModelError as error:
                lower = step_down(dialect, error)
                if lower is None:
                    self._learn(place, dialect, error)
                    raise
                dialect = lower
                continue
            if reply.usage.source == "estimated":
                dialect = with_usage(dialect, first=place not in _LEARNT)
            if reply.turn.calls:
                _CALLED.add(place)
            elif place not in _CALLED and _asked_twice(request):
                dialect = without_calls(dialect)
            _LEARNT[place] = dialect
            return self._tell(reply, dialect.steps)

    def _learn(self, place: tuple[str, str], dialect: Dialect, error: ModelError) -> None:
        """Keep the steps that led past the refusals; a request still refused proves nothing about them."""
        if error.kind != "bad_request" and dialect.steps:
            _LEARNT[place] = dialect

    async def count_tokens(self, _request: Request) -> int | None:
        """Return None: the protocol has no counting endpoint."""
        return None

    async def _ask(self, request: Request, dialect: Dialect) -> Reply:
        binding, assembly = self._binding, Completion()
        ask: Any = self._client.chat.completions.with_streaming_response.create
        body = completion(binding, self._base_url, request, dialect)
        made_by = (maker(self._base_url), binding.model)
        turn = 1 + sum(not isinstance(each, UserTurn) for each in request.turns)

        async def asked() -> Reply:
            async with ask(**body) as answer:
                document = await received(answer.http_response, assembly, binding)
                request_id = answer.headers.get("x-request-id", "")
                return read(document, made_by, turn, in_text=dialect.tools == "text", request_id=request_id)

        return await guarded(asked, translate, binding, assembly)

    def _tell(self, reply: Reply, steps: Sequence[str]) -> Reply:
        """Say with the first reply of this model what is put otherwise for its server."""
        fresh = [step for step in steps if step not in self._told]
        self._told |= set(fresh)
        return adapted(reply, *fresh)


def _asked_twice(request: Request) -> bool:
    """Tell whether the reply before this one called no tool either, though tools were on offer."""
    said = [turn for turn in request.turns if isinstance(turn, ModelTurn)]
    return bool(request.tools and said) and not said[-1].calls


def adapted(reply: Reply, *sentences: str) -> Reply:
    """Return the reply with a note of what was put otherwise."""
    if not sentences:
        return reply
    return replace(reply, metadata={**reply.metadata, ADAPTED: [*words(reply.metadata), *sentences]})
