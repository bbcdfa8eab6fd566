"""Google's generateContent through its async SDK, one streamed request per call."""

import httpx2

from pipeline.surface import Binding
from pipeline.vendors._connection import http_client
from pipeline.vendors._wire import guarded
from pipeline.vendors.google import SURFACE
from pipeline.vendors.google.errors import translate
from pipeline.vendors.google.lines import keep_lines
from pipeline.vendors.google.reply import read
from pipeline.vendors.google.request import configuration, contents, counted
from pipeline.vendors.google.sdk import genai, types
from pipeline.vendors.google.stream import Response
from stages.model import Model, ModelTurn, Reply, Request

_API_VERSION = "v1"


def connect(binding: Binding) -> Model:
    """Return the model; no network yet."""
    base_url = binding.base_url or str(SURFACE.default_base_url)
    key = binding.api_key or "none"
    # What comes compressed could not be looked into.
    http = http_client(base_url, {"x-goog-api-key": key, "accept-encoding": "identity"}, binding.stall)
    http.event_hooks["response"].append(keep_lines)
    options = types.HttpOptions(
        base_url=base_url,
        api_version=_API_VERSION,
        timeout=int(binding.stall * 1000),
        # Without a client of ours the SDK takes aiohttp where it finds it, which retries in secret.
        httpx_async_client=http,
        # Nothing here is synchronous; a transport that cannot send keeps it so.
        httpx_client=httpx2.Client(transport=httpx2.BaseTransport(), trust_env=False),
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return GoogleModel(genai.Client(api_key=key, vertexai=False, http_options=options), binding)


class GoogleModel:
    """One Gemini model with its settings."""

    def __init__(self, client: genai.Client, binding: Binding) -> None:
        self._client = client  # the asynchronous half does not keep the whole alive
        self._binding = binding

    async def complete(self, request: Request) -> Reply:
        """Answer once; see `stages.model.Model`."""
        binding = self._binding
        said, config = contents(binding, request.turns), configuration(binding, request)
        models, assembly = self._client.aio.models, Response(binding.progress)
        turn = 1 + sum(isinstance(each, ModelTurn) for each in request.turns)

        async def asked() -> Reply:
            chunks = await models.generate_content_stream(model=binding.model, contents=list(said), config=config)
            async for chunk in chunks:
                assembly.take(chunk)
            return read(assembly.whole(), binding.model, turn)

        return await guarded(asked, translate, binding, assembly)

    async def count_tokens(self, request: Request) -> int | None:
        """Ask the counting endpoint, which is free of charge; system text and tools are counted as text."""
        binding = self._binding
        said = counted(binding, request)
        models = self._client.aio.models
        answer = await guarded(
            lambda: models.count_tokens(model=binding.model, contents=list(said)), translate, binding
        )
        return answer.total_tokens
