"""Tools in plain text, for servers that take none: schemas in the system text, calls in fenced blocks.

A call is a block whose fence says `tool` and whose content is `{"name": ..., "arguments": {...}}`. What a model writes
is read with some patience (other fences and tags models are trained on, line breaks inside strings); what is in the
arguments is judged where every vendor's arguments are, and refused there.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.model import Tool, ToolCall, ToolResult

_OPENING = re.compile(
    r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(?P<word>tool_call|tool|json|)[ \t]*$|(?P<tag><tool_call>)", re.MULTILINE
)
_CLOSING = re.compile(r"\s*(?:`{3,}[ \t]*(?:$|\n)|~{3,}[ \t]*(?:$|\n)|</tool_call>)")
_END_OF_BROKEN = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*$|</tool_call>", re.MULTILINE)
_INVENTED = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*result\b", re.MULTILINE)
_NAME = re.compile(r'"name"\s*:\s*"(?P<name>[A-Za-z0-9_.-]+)"')
_THINKING, _THOUGHT = "<think>", "</think>"
_DECODER = json.JSONDecoder(strict=False)
_RULES = """
# Tools

To use a tool, write a block exactly like this one, its fence on lines of their own:

```tool
{"name": "NAME", "arguments": {...}}
```

The block holds one JSON object and nothing else; line breaks inside its strings are written \\n. Every argument of the
tool's schema must be there; one you have no use for is null. Several blocks are carried out in their order. Write
nothing after the last block: the results come in the next message, each in a block whose fence says `result`. Never
write such a block yourself. A reply without a `tool` block does nothing.

The tools and the JSON Schemas of their arguments:
"""


def offered(tools: Sequence[Tool]) -> str:
    """Return what the system text says of tools; empty where there are none."""
    if not tools:
        return ""
    listed = [f"\n{tool.name}: {tool.description}\n{json.dumps(dict(tool.parameters))}\n" for tool in tools]
    return _RULES + "".join(listed)


def written(text: str, calls: Sequence[ToolCall]) -> str:
    """Return a model's turn as it would have written it."""
    blocks = [f"```tool\n{_call_json(call)}\n```" for call in calls]
    return "\n\n".join(part for part in (text, *blocks) if part)


def answered(results: Sequence[ToolResult]) -> str:
    """Return tool results as the text of a message; no content can end its block early."""
    return "\n\n".join(_result(number, result) for number, result in enumerate(results, 1))


@dataclass(frozen=True, slots=True)
class Found:
    """What a reply holds: its text without the calls, the calls, and what of it is worth keeping."""

    text: str
    calls: tuple[ToolCall, ...]
    kept: str


def extract(content: str, turn: int) -> Found:
    """Return the calls in a model's reply, without its thoughts; invented results end it."""
    said = _spoken(content)
    invented = _INVENTED.search(said)
    kept = (said[: invented.start()] if invented else said).strip()
    calls: list[ToolCall] = []
    prose: list[str] = []
    at = 0
    while opening := _OPENING.search(kept, at):
        block = _block(kept, opening, f"call-{turn}-{len(calls) + 1}")
        if block is None:
            prose.append(kept[at : opening.end()])
            at = opening.end()
            continue
        call, end = block
        prose.append(kept[at : opening.start()])
        calls.append(call)
        at = end
    return Found("".join([*prose, kept[at:]]).strip(), tuple(calls), kept)


def _spoken(content: str) -> str:
    """Return the reply without the thoughts that some models write in front of it; a call in them is none."""
    if content.lstrip().startswith(_THINKING):
        return content.partition(_THOUGHT)[2]
    first = _OPENING.search(content)
    thoughts, end, rest = content.partition(_THOUGHT)
    return rest if end and (first is None or len(thoughts) <= first.start()) else content


def _block(text: str, opening: re.Match[str], call_id: str) -> tuple[ToolCall, int] | None:
    """Return the call of one block and where it ends, None for a block that is none."""
    meant = opening["tag"] is not None or opening["word"].startswith("tool")
    start = opening.end() + len(text[opening.end() :]) - len(text[opening.end() :].lstrip())
    try:
        said, end = _DECODER.raw_decode(text, start)
    except ValueError:
        return _broken(text, start, call_id) if meant else None
    closing = _CLOSING.match(text, end)
    call = _call(said, text[start:end], call_id)
    if call is None or (closing is None and text[end:].strip()):
        return _broken(text, start, call_id) if meant else None
    return call, closing.end() if closing else len(text)


def _call(said: Any, raw: str, call_id: str) -> ToolCall | None:
    if not isinstance(said, Mapping) or not isinstance(said.get("name"), str):
        return None
    arguments = said.get("arguments", said.get("parameters"))
    if isinstance(arguments, Mapping):
        return ToolCall(call_id, said["name"], dict(arguments))
    return ToolCall(call_id, said["name"], None, raw)


def _broken(text: str, start: int, call_id: str) -> tuple[ToolCall, int] | None:
    """Return a call whose JSON cannot be read but whose tool can; it is answered with what is wrong."""
    closing = _END_OF_BROKEN.search(text, start)
    end = closing.end() if closing else len(text)
    raw = text[start : closing.start() if closing else end].strip()
    name = _NAME.search(raw)
    return (ToolCall(call_id, name["name"], None, raw), end) if name else None


def _call_json(call: ToolCall) -> str:
    if call.arguments is None:
        return call.raw
    return json.dumps({"name": call.name, "arguments": dict(call.arguments)})


def _result(number: int, result: ToolResult) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", result.content)), default=2)
    fence = "`" * (longest + 1)
    failed = " error" if result.is_error else ""
    return f"{fence}result {number} {result.name}{failed}\n{result.content}\n{fence}"
