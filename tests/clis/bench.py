"""A command-line vendor on the bench: its real program, with a login of no worth, against a loopback server."""

import base64
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from pipeline import loader
from pipeline.surface import Binding
from stages.model import Model, Reply, Request
from tests.clis.wire import CommandLineServer, Protocol
from tests.loopback.brain import Brain, Say, always
from tests.vendors.bench import ASK

T = TypeVar("T")
PROGRAMS = Path(__file__).parents[2] / ".cache" / "clis" / "node_modules" / ".bin"


def program(name: str) -> str:
    """Return the path of a real program; it is never skipped for want of one."""
    path = PROGRAMS / name
    if not path.exists():
        pytest.fail(f"the real {name} is not installed; type `make test-clis`")
    return str(path)


def jwt() -> str:
    """Return a token as Codex reads it, good for some hours."""
    account = {"chatgpt_account_id": "loopback", "chatgpt_plan_type": "plus"}
    claims = {"https://api.openai.com/auth": account, "email": "a@b.example", "exp": int(time.time()) + 9000}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.c2ln"


@dataclass(frozen=True)
class CommandLineBench:
    """One vendor. `login` writes the user's login below a home; `effort` reads it from a request's JSON."""

    vendor: str
    program: str
    protocol: Protocol
    model: str
    key: str | None
    path: str
    effort: Callable[[Any], Any]
    effort_word: str
    tools: Callable[[Any], Any]
    bearer: str
    login: Callable[[Path], None] = field(default=lambda _home: None)
    caps_output: bool = True

    def serve(self, brain: Brain) -> AbstractContextManager[CommandLineServer]:
        """Return a server for the program."""
        return CommandLineServer(self.protocol, brain).running()

    def binding(self, server: CommandLineServer, **changes: Any) -> Binding:
        """Return a binding to a server."""
        model = changes.get("model", self.model)
        return Binding(
            model=model,
            like=model,
            effort=changes.get("effort"),
            temperature=None,
            base_url=server.url + self.path,
            api_key=changes.get("api_key", self.key),
            cache_key="run-1:coder",
            command=changes.get("command", program(self.program)),
        )

    def run(self, brain: Brain, use: Callable[[Model, CommandLineServer], Awaitable[T]], **changes: Any) -> T:
        """Serve a brain and let `use` talk to it through the program."""
        with self.serve(brain) as server:

            async def used() -> T:
                return await use(await loader.connect(self.vendor, self.binding(server, **changes)), server)

            return anyio.run(used)

    def ask(self, say: Say, request: Request = ASK, **changes: Any) -> tuple[Reply, CommandLineServer]:
        """Ask once and return the reply with the server it came from."""

        async def once(model: Model, server: CommandLineServer) -> tuple[Reply, CommandLineServer]:
            return await model.complete(request), server

        return self.run(always(say), once, **changes)
