"""What a server says when a prompt or a reply does not fit, in the words real ones use, through every protocol."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import anyio
import pytest

from pipeline import loader
from pipeline.surface import Api, Binding
from stages.model import Model, ModelError, Reply, Usage
from tests.loopback import (
    ANTHROPIC_KEY,
    CHAT_KEY,
    OPENAI_KEY,
    LoopbackServer,
    Say,
    always,
    anthropic_server,
    chat_server,
    openai_server,
)
from tests.vendors.bench import ASK

T = TypeVar("T")
LLAMA = "request (12031 tokens) exceeds the available context size (8192 tokens), try increasing it"
VLLM = "This model's maximum context length is 8192 tokens. However, you requested 12031 tokens"


def asked(
    serving: AbstractContextManager[LoopbackServer],
    use: Callable[[Model], Awaitable[T]],
    *,
    vendor: str,
    key: str,
    api: Api | None = None,
) -> T:
    """Let `use` talk to a model behind a server."""
    with serving as server:
        binding = Binding("gpt-6-luna", "gpt-6-luna", None, None, server.url, key, "run-1:coder", api=api)

        async def used() -> T:
            return await use(await loader.connect(vendor, binding))

        return anyio.run(used)


async def failure(model: Model) -> ModelError:
    """Return the error of a call that must fail."""
    with pytest.raises(ModelError) as raised:
        await model.complete(ASK)
    return raised.value


async def reply(model: Model) -> Reply:
    return await model.complete(ASK)


@pytest.mark.parametrize("words", [LLAMA, VLLM])
def test_a_prompt_beyond_the_context_is_too_large_in_every_protocol(words: str) -> None:
    no = always(Say(status=400, message=words))
    found = [
        asked(chat_server(no), failure, vendor="compatible", key=CHAT_KEY),
        asked(openai_server(no), failure, vendor="compatible", key=OPENAI_KEY, api="responses"),
        asked(anthropic_server(no), failure, vendor="anthropic", key=ANTHROPIC_KEY),
    ]
    assert [(each.kind, each.generated) for each in found] == [("too_large", False)] * 3
    assert all(words in each.message for each in found)


def test_any_other_400_is_a_bad_request_in_every_protocol() -> None:
    no = always(Say(status=400, message="the model is not loaded"))
    found = [
        asked(chat_server(no), failure, vendor="compatible", key=CHAT_KEY),
        asked(openai_server(no), failure, vendor="compatible", key=OPENAI_KEY, api="responses"),
        asked(anthropic_server(no), failure, vendor="anthropic", key=ANTHROPIC_KEY),
    ]
    assert [each.kind for each in found] == ["bad_request"] * 3


def test_a_server_of_ones_own_is_not_called_openai() -> None:
    no = always(Say(status=400, message="the model is not loaded"))
    own = asked(openai_server(no), failure, vendor="compatible", key=OPENAI_KEY, api="responses")
    vendors = asked(openai_server(no), failure, vendor="openai", key=OPENAI_KEY)
    assert own.message.startswith("the server answered 400")
    assert vendors.message.startswith("openai answered 400")


@pytest.mark.parametrize(
    ("say", "stop"),
    [
        (Say("half a sen", usage=Usage(300, 0, 0, 4000)), "truncated"),
        (Say(calls=[("read_file", '{"path": "a.')], usage=Usage(300, 0, 0, 4000)), "truncated"),
        (Say(calls=[("read_file", {"path": "a.py"})], usage=Usage(300, 0, 0, 4000)), "tools"),
        (Say("a whole sentence", usage=Usage(300, 0, 0, 3999)), "done"),
    ],
    ids=["text", "half a call", "a whole call", "text below the limit"],
)
def test_a_response_as_long_as_its_limit_is_cut_though_its_server_says_completed(say: Say, stop: str) -> None:
    found = asked(openai_server(always(say)), reply, vendor="compatible", key=OPENAI_KEY, api="responses")
    assert (found.stop, found.usage.output) == (stop, say.usage.output if say.usage else None)
