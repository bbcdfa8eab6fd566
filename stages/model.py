"""What a stage wants from a language model, and how a vendor can fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
StopReason = Literal["done", "tools", "truncated", "refused"]
UsageSource = Literal["reported", "estimated", "reserved"]
ErrorKind = Literal[
    "auth",
    "billing",
    "rate_limit",
    "overloaded",
    "server",
    "too_large",
    "bad_request",
    "network",
    "timeout",
    "protocol",
]


class ModelError(Exception):
    """A vendor's failure, in the one taxonomy every vendor maps to.

    `retry_after` is seconds from now where the vendor named a time. `generated` is False only when the vendor
    certainly refused before generating (4xx, 503, 529, connection refused): nothing can have been billed.
    `input_reported` is (input, cache_read) where a stream reported them before it broke. `parameter` is what the
    vendor says it refused of the request. `refusal` says that it refuses what is asked for its content, as a model
    does in a reply: no defect of the request, and no reason to stop a run.
    """

    def __init__(  # noqa: PLR0913 - what is known of a failure, each part by name
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after: float | None = None,
        generated: bool = True,
        input_reported: tuple[int, int] | None = None,
        status: int | None = None,
        parameter: str | None = None,
        refusal: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.generated = generated
        self.input_reported = input_reported
        self.status = status
        self.parameter = parameter
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer. `parameters` is a closed JSON Schema object whose properties are all required.

    What is optional is nullable instead, so that every vendor's strict mode takes the schema as it is.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's call. `arguments` is None when they were not a JSON object; `raw` is what was sent then."""

    id: str
    name: str
    arguments: Mapping[str, Any] | None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to one call, in the order of the calls."""

    call_id: str
    name: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What we say: tool results first (one for every call of the turn before), then text."""

    text: str = ""
    results: Sequence[ToolResult] = ()


@dataclass(frozen=True, slots=True)
class ModelTurn:
    """What the model said. `native` is the vendor's own JSON, passed back intact (reasoning included).

    It holds only JSON values, and only the vendor module that made it reads it.
    """

    text: str
    calls: Sequence[ToolCall] = ()
    native: Any = None


Turn = UserTurn | ModelTurn


@dataclass(frozen=True, slots=True)
class Request:
    """One call: turns alternate and start and end with a `UserTurn`."""

    system: str
    turns: Sequence[Turn]
    tools: Sequence[Tool]
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call: `input` includes cache reads and writes, `output` includes reasoning."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    source: UsageSource = "reported"

    @property
    def counted(self) -> int:
        """What the breaker charges."""
        return self.input - self.cache_read + self.output


@dataclass(frozen=True, slots=True)
class Reply:
    """The model's answer. `model` is what the vendor says answered, `id` its request or response id."""

    turn: ModelTurn
    stop: StopReason
    usage: Usage
    model: str = ""
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """One vendor's model, bound to its settings (effort, temperature, address)."""

    async def complete(self, request: Request) -> Reply:
        """Answer once, without retrying.

        :raises ModelError: anything the vendor or the wire did wrong; cancelling closes the connection.
        """
        ...

    async def count_tokens(self, request: Request) -> int | None:
        """Return the exact input tokens of a request where the vendor can say, without generating."""
        ...
