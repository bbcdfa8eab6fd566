"""What a test says instead of a model: one function from a conversation to a reply, the same for every protocol."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stages.model import Usage

Fault = Literal[
    "html", "foreign_json", "truncated_json", "empty", "reset", "hang", "trickle",
    "stream_cut", "stream_eof", "stream_error", "stream_garbage", "stream_reset", "stream_stall", "stream_open",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """One tool result that was sent back."""

    name: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request as its server understood it; `turn` counts the model's turns so far, `texts` is what the user said."""

    model: str
    system: str
    texts: Sequence[str]
    turn: int
    tool_results: Sequence[Result]
    tools: Sequence[str]
    max_output_tokens: int
    effort: str | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """The reply. `status` makes it an HTTP error, with `code` and `message` as the vendor words it.

    Arguments of a call that are a string are sent as they are (invalid JSON, where a protocol can carry it).
    `usage` in our own terms; left out, it is estimated from the bytes and from what earlier requests had in common.
    A streamed reply is as many events as its protocol needs, sent in pieces of `piece` bytes where that is set, or a
    `whole` document whatever was asked for.
    `counted` off leaves the usage out of a stream that chunks of its own report it in.
    `stop` is `truncated`, `refused` or the vendor's own word. `fault` breaks the wire: see `wire.py`. `body` is
    sent instead of the reply, `reasoning` off leaves out thoughts.
    """

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    usage: Usage | None = None
    stop: str | None = None
    status: int = 200
    code: str = ""
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None
    fault: Fault | None = None
    body: Any = None
    reasoning: bool = True
    piece: int | None = None
    whole: bool = False
    counted: bool = True


Brain = Callable[[Conversation], Say]


def always(say: Say) -> Brain:
    """Return a brain that says the same every time."""
    return lambda _conversation: say


def by_turn(*says: Say) -> Brain:
    """Return a brain that says the k-th reply when there are k model turns; the last one repeats."""
    return lambda conversation: says[min(conversation.turn, len(says) - 1)]


def by_model(brains: Mapping[str, Brain]) -> Brain:
    """Return a brain that asks the one of the request's model."""
    return lambda conversation: brains[conversation.model](conversation)
