"""What a server takes of chat completions, and one step down at a time when it names what it does not take.

A step never touches what the user configured: effort, temperature and the output limit stay, or the call fails.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipeline.surface import ADAPTED
from stages.model import ModelError

Cap = Literal["max_completion_tokens", "max_tokens"]
_REFUSALS = frozenset({400, 404, 422, 500, 501})  # one server answers 500 where it means a parameter


@dataclass(frozen=True, slots=True)
class Dialect:
    """How requests to one model of one server are put. `steps` says in words what was changed for it."""

    caps: tuple[Cap, ...]
    system: Literal["developer", "system", "user"]
    tools: Literal["strict", "plain", "text"] = "strict"
    cache_key: bool = False
    reasoning: bool = True
    stream: Literal["usage", "plain", "whole", "unreported"] = "usage"
    steps: tuple[str, ...] = ()


OPENAI = Dialect(("max_completion_tokens",), "developer", cache_key=True)
# A server that ignores the limit it does not know would write past what is reserved: so it is told both names.
COMPATIBLE = Dialect(("max_completion_tokens", "max_tokens"), "system")

_STRICT = re.compile(r"\bstrict\b|\badditionalProperties\b|Invalid schema for function")
_Step = Callable[[Dialect], Dialect | None]

_NO_TOOLS = re.compile(
    r"(not|n't) (currently )?support\w* (native )?(tool|function)"
    r"|(tools?|function)[- _](use |call |calling )?(is|are) not supported"
    r"|support (for )?tool use|tools? param requires|tool choice requires|unsupported param\w*:? tools?\b"
    r"|['\"`]tools['\"`]|argument supplied: tools",
    re.IGNORECASE,
)

_NO_USAGE = "its streams report no usage: replies come whole"
_NO_STREAM = re.compile(
    r"(not|n't) support\w* stream(?!_)|\bstream(?!_)\w* (is|are) not supported|(tools?|function\w*) with stream(?!_)",
    re.IGNORECASE,
)


def step_down(dialect: Dialect, error: ModelError) -> Dialect | None:
    """Return the dialect without what the server refused, None when the error is about something else."""
    if error.refusal or error.status not in _REFUSALS or error.kind not in {"bad_request", "server"}:
        return None
    if _NO_STREAM.search(error.message):
        return _no_stream(dialect)
    if _refuses_tools(error) and not (dialect.tools == "strict" and _STRICT.search(error.message)):
        words = "it takes no tools: they are offered as text, and calls are read from fenced blocks"
        return _with(dialect, words, tools="text") if dialect.tools != "text" else None
    return _by_name(dialect, error) if error.status in {400, 422} else None


def _refuses_tools(error: ModelError) -> bool:
    return error.parameter in {"tools", "tool_choice"} or _NO_TOOLS.search(error.message) is not None


def _by_name(dialect: Dialect, error: ModelError) -> Dialect | None:
    """Take the step of the parameter the server names; of several in its words the first, later ones are advice."""
    for said in filter(None, (error.parameter, error.message)):
        places = [(pattern.search(said), step) for pattern, step in _STEPS]
        found = sorted(((match.start(), step) for match, step in places if match), key=lambda each: each[0])
        taken = next((lower for _, step in found if (lower := step(dialect)) is not None), None)
        if taken is not None:
            return taken
    return None


def _with(dialect: Dialect, words: str, **changes: Any) -> Dialect:
    return replace(dialect, steps=(*dialect.steps, words), **changes)


def _other_cap(refused: Cap, other: Cap) -> _Step:
    def step(dialect: Dialect) -> Dialect | None:
        if refused not in dialect.caps or f"`{other}` was refused" in "".join(dialect.steps):
            return None
        return _with(dialect, f"`{refused}` was refused: `{other}` is sent instead", caps=(other,))

    return step


def _role(dialect: Dialect) -> Dialect | None:
    match dialect.system:
        case "developer":
            return _with(dialect, "the role `developer` was refused: `system` is sent instead", system="system")
        case "system":
            words = "the role `system` was refused: its text goes before the user's"
            return _with(dialect, words, system="user")
        case "user":
            return None


def _plain_tools(dialect: Dialect) -> Dialect | None:
    if dialect.tools != "strict":
        return None
    return _with(dialect, "strict tool schemas were refused: they are sent plain", tools="plain")


def _no_cache_key(dialect: Dialect) -> Dialect | None:
    words = "`prompt_cache_key` was refused: it is left out"
    return _with(dialect, words, cache_key=False) if dialect.cache_key else None


def _no_reasoning(dialect: Dialect) -> Dialect | None:
    words = "reasoning that was handed back was refused: it is left out"
    return _with(dialect, words, reasoning=False) if dialect.reasoning else None


def _no_stream_options(dialect: Dialect) -> Dialect | None:
    words = "`stream_options` was refused: it is left out"
    return _with(dialect, words, stream="plain") if dialect.stream == "usage" else None


def _no_stream(dialect: Dialect) -> Dialect | None:
    words = "streaming was refused: replies come whole"
    return _with(dialect, words, stream="whole") if dialect.stream != "whole" else None


def without_calls(dialect: Dialect) -> Dialect:
    """Return the dialect after two replies in a row that called no tool, where no reply ever has.

    Some servers take tools and leave them out of the prompt in silence; a template of the model's may not have them.
    """
    words = "two replies in a row called no tool: they are offered as text from now on"
    return _with(dialect, words, tools="text") if dialect.tools != "text" else dialect


def with_usage(dialect: Dialect, *, first: bool) -> Dialect:
    """Return the dialect after a reply without a usage: what a stream lacks may come with the whole.

    Every reply without one is charged at all that was reserved for it. Where a server was asked for the usage, only
    its `first` reply says that it takes no notice; a later one without it broke off just before. A server that does
    not report it with the whole either is streamed again.
    """
    match dialect.stream:
        case "plain":
            return _with(dialect, _NO_USAGE, stream="whole")
        case "usage" if first:
            return _with(dialect, _NO_USAGE, stream="whole")
        case "whole" if _NO_USAGE in dialect.steps:
            return _with(dialect, "nor do whole ones: each is charged as reserved, and streamed", stream="unreported")
        case _:
            return dialect


_STEPS: tuple[tuple[re.Pattern[str], _Step], ...] = (
    (re.compile(r"\bmax_completion_tokens\b"), _other_cap("max_completion_tokens", "max_tokens")),
    (re.compile(r"\bmax_tokens\b"), _other_cap("max_tokens", "max_completion_tokens")),
    (re.compile(r"\bdeveloper\b|\b[Rr]ole\b"), _role),
    (_STRICT, _plain_tools),
    (re.compile(r"\bprompt_cache_key\b"), _no_cache_key),
    (re.compile(r"\bstream_options\b|\binclude_usage\b"), _no_stream_options),
    (re.compile(r"\bstream(ing)?\b", re.IGNORECASE), _no_stream),
    (re.compile(r"\breasoning(_content|_details)?\b"), _no_reasoning),
)


def words(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reply's metadata says was put otherwise for its server."""
    return tuple(metadata.get(ADAPTED, ()))
