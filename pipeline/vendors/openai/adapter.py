"""OpenAI's Responses API through its async SDK, one streamed request per call."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipeline.surface import Binding
from pipeline.vendors._counts import count
from pipeline.vendors._stream import received
from pipeline.vendors._wire import guarded, json_object
from pipeline.vendors.openai.client import Client
from pipeline.vendors.openai.errors import translate
from pipeline.vendors.openai.reply import read
from pipeline.vendors.openai.request import counted, response
from pipeline.vendors.openai.stream import Response
from stages.model import ModelError, Reply, Request


class OpenAIModel:
    """One model with its settings, OpenAI's or that of a server that speaks this API."""

    def __init__(
        self, client: Client, binding: Binding, translate: Callable[[Exception], ModelError] = translate
    ) -> None:
        self._client = client
        self._binding = binding
        self._translate = translate

    async def complete(self, request: Request) -> Reply:
        """Answer once; see `stages.model.Model`."""
        binding, assembly = self._binding, Response()
        ask: Any = self._client.responses.with_streaming_response.create
        body = response(binding, request)

        async def asked() -> Reply:
            async with ask(**body, stream=True) as answer:
                document = await received(answer.http_response, assembly, binding)
                reply = read(document, binding.model, answer.headers.get("x-request-id", ""))
                return _cut(reply, request.max_output_tokens)

        return await guarded(asked, self._translate, binding, assembly)

    async def count_tokens(self, request: Request) -> int | None:
        """Ask the counting endpoint, which is free of charge."""
        body = counted(self._binding, request)
        call: Any = self._client.responses.input_tokens.with_raw_response.count
        raw = await guarded(lambda: call(**body), self._translate, self._binding)
        return count(json_object(raw.http_response.content), "input_tokens") or None


def _cut(reply: Reply, limit: int) -> Reply:
    """Return the reply as truncated where it ends at its limit in the middle: some servers say `completed` then."""
    calls = reply.turn.calls
    whole = bool(calls) and calls[-1].arguments is not None
    if reply.stop in {"done", "tools"} and reply.usage.output >= limit and not whole:
        return replace(reply, stop="truncated")
    return reply
