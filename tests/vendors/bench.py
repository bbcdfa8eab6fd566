"""A vendor on the bench: its real SDK, bound to a loopback server that plays a brain."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio

from pipeline import loader
from pipeline.surface import STALL_SECONDS, Binding
from stages.model import Effort, Model, ModelTurn, Reply, Request, Tool, ToolResult, UserTurn
from tests.loopback import (
    ANTHROPIC_KEY,
    CHAT_KEY,
    GOOGLE_KEY,
    OPENAI_KEY,
    Brain,
    LoopbackServer,
    Traits,
    anthropic_server,
    chat_server,
    google_server,
    openai_server,
)

T = TypeVar("T")
READ_FILE = Tool(
    "read_file",
    "Read a file of the repository.",
    {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "relative to the root"},
            "start_line": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "title": "Start"},
        },
        "required": ["path", "start_line"],
        "additionalProperties": False,
    },
)
ASK = Request("You are the Coder.", (UserTurn("fix a.py"),), (READ_FILE,), 4000)


class Serve(Protocol):
    """A loopback server's constructor."""

    def __call__(self, brain: Brain, *, key: str = ...) -> AbstractContextManager[LoopbackServer]: ...


@dataclass(frozen=True)
class Bench:
    """One row of the table of vendors. `effort` is read from a request's JSON, `strict` from a tool's.

    `table` says that the vendor's models are known, `counts` that it counts tokens, `errors_in_200` that an answer
    can be a failure, `reasoning_in` where a turn's own JSON has its thoughts.
    """

    vendor: str
    serve: Serve
    key: str
    key_header: tuple[str, str]
    model: str
    other_model: str
    effort_on_wire: Callable[[Any], Any]
    effort_word: Any
    tool_on_wire: Callable[[Any], dict[str, Any]]
    raw_arguments: bool = False
    writes_cache: bool = True
    table: bool = True
    counts: bool = True
    errors_in_200: bool = False
    reasoning_in: str | None = None
    tools_in_text: bool = False

    def binding(self, server: LoopbackServer, **changes: Any) -> Binding:
        """Return a binding to a server; `changes` are fields of it."""
        effort: Effort | None = changes.get("effort")
        model = changes.get("model", self.model)
        return Binding(
            model=model,
            like=changes.get("like", model),
            effort=effort,
            temperature=changes.get("temperature"),
            base_url=server.url,
            api_key=changes.get("api_key", self.key),
            cache_key=changes.get("cache_key", "run-1:coder"),
            api=changes.get("api"),
            stall=changes.get("stall", STALL_SECONDS),
            stall_key="stages.coder.stall",
            progress=changes.get("progress"),
        )

    def refusals(self, server: LoopbackServer) -> list[str]:
        """Return what a server refused, but for the tools it does not take."""
        said = [str(each) for each in server.rejections]
        return [each for each in said if not (self.tools_in_text and "does not support tools" in each)]

    def run(self, brain: Brain, use: Callable[[Model, LoopbackServer], Awaitable[T]], **changes: Any) -> T:
        """Serve a brain and let `use` talk to it through the SDK."""
        with self.serve(brain) as server:

            async def used() -> T:
                return await use(await loader.connect(self.vendor, self.binding(server, **changes)), server)

            return anyio.run(used)

    def ask(self, brain: Brain, request: Request = ASK, **changes: Any) -> Reply:
        """Ask once."""

        async def once(model: Model, _server: LoopbackServer) -> Reply:
            return await model.complete(request)

        return self.run(brain, once, **changes)


async def converse(model: Model, results: Callable[[str], str] = str.upper, *, turns: int = 8) -> list[Reply]:
    """Answer every tool call of a model until it makes none."""
    said: list[UserTurn | ModelTurn] = list(ASK.turns)
    replies: list[Reply] = []
    for _ in range(turns):
        replies.append(await model.complete(Request(ASK.system, tuple(said), ASK.tools, ASK.max_output_tokens)))
        turn = replies[-1].turn
        if not turn.calls:
            break
        answers = tuple(
            ToolResult(call.id, call.name, results(str(call.arguments)), is_error=call.arguments is None)
            for call in turn.calls
        )
        said += [turn, UserTurn("", answers)]
    return replies


BENCHES = (
    Bench(
        vendor="anthropic",
        serve=anthropic_server,
        key=ANTHROPIC_KEY,
        key_header=("authorization", f"Bearer {ANTHROPIC_KEY}"),
        model="claude-opus-5-5",
        other_model="claude-sonnet-5-5",
        effort_on_wire=lambda body: body["output_config"]["effort"],
        effort_word="high",
        tool_on_wire=lambda body: body["tools"][0],
    ),
    Bench(
        vendor="openai",
        serve=openai_server,
        key=OPENAI_KEY,
        key_header=("authorization", f"Bearer {OPENAI_KEY}"),
        model="gpt-6.1-sol",
        other_model="gpt-6-astra",
        effort_on_wire=lambda body: body["reasoning"]["effort"],
        effort_word="high",
        tool_on_wire=lambda body: body["tools"][0],
        raw_arguments=True,
    ),
    Bench(
        vendor="google",
        serve=google_server,
        key=GOOGLE_KEY,
        key_header=("x-goog-api-key", GOOGLE_KEY),
        model="gemini-3.8-flash",
        other_model="gemini-4-argon",
        effort_on_wire=lambda body: next(iter(body["generationConfig"]["thinkingConfig"].values())),
        effort_word="HIGH",
        tool_on_wire=lambda body: body["tools"][0]["functionDeclarations"][0],
        writes_cache=False,
        errors_in_200=True,
    ),
)
CHAT = Bench(
    vendor="compatible",
    serve=chat_server,
    key=CHAT_KEY,
    key_header=("authorization", f"Bearer {CHAT_KEY}"),
    model="qwen-coder",
    other_model="qwen-small",
    effort_on_wire=lambda body: body["reasoning_effort"],
    effort_word="high",
    tool_on_wire=lambda body: body["tools"][0]["function"],
    raw_arguments=True,
    table=False,
    counts=False,
    errors_in_200=True,
    reasoning_in="message",
)
# The same server without tools: what the text protocol makes of the same conversations.
TEXT = replace(
    CHAT,
    serve=partial(chat_server, traits=Traits(tools=False)),
    model="gemma-old",
    other_model="gemma-older",
    raw_arguments=False,
    tools_in_text=True,
)
