"""The same request through our adapter, through the bare SDK, and as plain HTTP."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types

from benchmarks.vendors.server import BRAIN, SERVERS
from pipeline import loader
from pipeline.surface import Binding
from pipeline.vendors.anthropic.request import message
from pipeline.vendors.google.request import configuration, contents
from pipeline.vendors.openai.request import response
from stages.model import Request
from tests.loopback import ANTHROPIC_KEY, CHAT_KEY, GOOGLE_KEY, OPENAI_KEY, LoggedRequest
from tests.vendors.bench import ASK

KEYS = {"anthropic": ANTHROPIC_KEY, "openai": OPENAI_KEY, "google": GOOGLE_KEY, "compatible": CHAT_KEY}
MODELS = {
    "anthropic": "claude-opus-5-5",
    "openai": "gpt-6.1-sol",
    "google": "gemini-3.8-flash",
    "compatible": "qwen-coder",
}
PLAIN, PLAIN_ANEW, SDK, OURS = "plain httpx2", "plain httpx2, new connection", "bare SDK", "our adapter"
Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Wire:
    """Our adapter's own request as it came in."""

    path: str
    headers: dict[str, str]
    body: object


def binding(vendor: str, url: str) -> Binding:
    """Return how a vendor's model is bound."""
    model = MODELS[vendor]
    return Binding(model, model, None, None, url, KEYS[vendor], "bench:coder")


async def contenders(vendor: str, url: str, stack: AsyncExitStack, request: Request = ASK) -> dict[str, Call]:
    """Return each contender's call; all make the same request."""
    wire = await _wire(vendor, request)
    kept = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
    address = httpx2.URL(url).copy_with(raw_path=wire.path.encode())
    model = await loader.connect(vendor, binding(vendor, url))

    async def plain(client: httpx2.AsyncClient) -> None:
        answer = await client.post(address, json=wire.body, headers=wire.headers)
        answer.raise_for_status()

    async def anew() -> None:
        async with httpx2.AsyncClient(trust_env=False, verify=False) as client:
            await plain(client)

    return {
        PLAIN: lambda: plain(kept),
        PLAIN_ANEW: anew,
        SDK: _sdk(vendor, url, request, stack),
        OURS: lambda: model.complete(request),
    }


async def _wire(vendor: str, request: Request) -> Wire:
    """Record what our adapter sends, so that plain HTTP sends the very same."""
    with SERVERS[vendor](BRAIN) as server:
        model = await loader.connect(vendor, binding(vendor, server.url))
        await model.complete(request)
        said: LoggedRequest = server.log[-1]
    dropped = {"host", "content-length", "connection"}
    headers = {name: value for name, value in said.headers.items() if name not in dropped}
    return Wire(said.path, headers, said.json)


def _sdk(vendor: str, url: str, request: Request, stack: AsyncExitStack) -> Call:
    """Return a call as the SDK's documentation has it: its own client, its own connections, retries off."""
    bound, key = binding(vendor, url), KEYS[vendor]
    if vendor == "anthropic":
        claude = anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0, timeout=60)
        stack.push_async_callback(claude.close)
        return lambda: claude.messages.create(**message(bound, request))
    if vendor == "google":
        options = types.HttpOptions(base_url=url, api_version="v1")
        gemini = genai.Client(api_key=key, vertexai=False, http_options=options)
        stack.push_async_callback(gemini.aio.aclose)
        said, config = list(contents(bound, request.turns)), configuration(bound, request)
        return lambda: gemini.aio.models.generate_content(model=bound.model, contents=said, config=config)
    gpt = openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0)
    stack.push_async_callback(gpt.close)
    if vendor == "openai":
        return lambda: gpt.responses.create(**response(bound, request))
    return lambda: gpt.chat.completions.create(
        model=bound.model,
        messages=[{"role": "system", "content": request.system}, {"role": "user", "content": request.turns[0].text}],
        tools=[
            {"type": "function", "function": {"name": tool.name, "parameters": dict(tool.parameters), "strict": True}}
            for tool in request.tools
        ],
        max_completion_tokens=request.max_output_tokens,
    )
