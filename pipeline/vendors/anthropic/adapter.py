"""Anthropic's Messages API through its async SDK, one streamed request per call."""

from typing import Any

import anthropic

from pipeline.surface import Binding, Lifecycle
from pipeline.vendors._connection import CONNECT_SECONDS, http_client
from pipeline.vendors._counts import count
from pipeline.vendors._stream import received
from pipeline.vendors._wire import guarded, json_object
from pipeline.vendors.anthropic import SURFACE
from pipeline.vendors.anthropic.errors import translate
from pipeline.vendors.anthropic.lifecycle import lifecycle
from pipeline.vendors.anthropic.reply import read
from pipeline.vendors.anthropic.request import counted, message
from pipeline.vendors.anthropic.stream import Message
from stages.model import Model, Reply, Request

_API_VERSION = "2026-10-21"


def connect(binding: Binding) -> Model:
    """Return the model; no network yet."""
    base_url = binding.base_url or str(SURFACE.default_base_url)
    key = binding.api_key or "none"
    client = anthropic.AsyncAnthropic(
        api_key=key,
        base_url=base_url,
        max_retries=0,
        timeout=anthropic.Timeout(binding.stall, connect=CONNECT_SECONDS),
        http_client=http_client(
            base_url, {"authorization": f"Bearer {key}", "anthropic-version": _API_VERSION}, binding.stall
        ),
        open_telemetry=False,
    )
    return AnthropicModel(client, binding)


class AnthropicModel:
    """One Claude model with its settings."""

    def __init__(self, client: anthropic.AsyncAnthropic, binding: Binding) -> None:
        self._client = client
        self._binding = binding

    async def complete(self, request: Request) -> Reply:
        """Answer once; see `stages.model.Model`."""
        binding, assembly = self._binding, Message()
        ask: Any = self._client.messages.with_streaming_response.create
        body = message(binding, request)

        async def asked() -> Reply:
            async with ask(**body, stream=True) as answer:
                document = await received(answer.http_response, assembly, binding)
                return read(document, binding.model, answer.headers.get("request-id", ""))

        return await guarded(asked, translate, binding, assembly)

    async def count_tokens(self, request: Request) -> int | None:
        """Ask the counting endpoint, which is free of charge."""
        body = counted(self._binding, request)
        call: Any = self._client.messages.with_raw_response.count_tokens
        raw = await guarded(lambda: call(**body), translate, self._binding)
        return count(json_object(raw.http_response.content), "input_tokens") or None

    async def lifecycle(self) -> Lifecycle | None:
        """Ask the models endpoint, which is free of charge."""
        call: Any = self._client.models.with_raw_response.retrieve
        raw = await guarded(lambda: call(self._binding.model), translate, self._binding)
        return lifecycle(json_object(raw.http_response.content))
