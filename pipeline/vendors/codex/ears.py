"""Reads what `codex exec --json` says: the last message of the agent is the answer, and failures are but sentences."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from pipeline.vendors._command_line import Answer
from pipeline.vendors._counts import count
from pipeline.vendors._hearing import answered_with, object_of
from pipeline.vendors._wire import excerpt
from pipeline.vendors.codex.requests import Requests
from pipeline.vendors.codex.reset import seconds_until
from stages.model import ErrorKind, ModelError, StopReason, Usage

_BYTES_PER_TOKEN = 3.3  # fewer than text usually has, so that an estimate is not too low
_STATUS = re.compile(r"\b(?:status:?|error:?) (?P<status>[45]\d\d)\b", re.IGNORECASE)
_WORDS: tuple[tuple[str, ErrorKind, bool], ...] = (
    (r"auth\.openai\.com|log ?in|sign ?in|refresh token|not supported when using", "auth", False),
    (r"usage limit|rate limit", "rate_limit", False),
    (r"at capacity|overloaded", "overloaded", False),
    (r"high demand", "server", True),
    (r"out of room|context window", "too_large", False),
    (r"quota exceeded|billing|credits", "billing", False),
    (r"dns|connection refused|tcp connect", "network", False),
    (r"error sending request", "network", True),
    (r"stream disconnected|timed? ?out", "network", True),
)
_OWN_ITEMS = {"agent_message", "reasoning", "error"}


@dataclass(slots=True)
class CodexEars:
    """One run of `codex` with one model; `size` is that of the request in bytes."""

    model: str
    size: int
    max_output_tokens: int
    clock: Callable[[], float] = time.time
    id: str = ""
    text: str | None = None
    usage: dict[str, Any] | None = None
    failure: str | None = None
    requests: Requests = field(default_factory=Requests)
    foreign: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def said(self, line: str) -> bool:
        """Take one JSON line; True where the program begins to act by itself."""
        event = object_of(line)
        match event.get("type"):
            case "thread.started":
                self.id = str(event.get("thread_id", ""))
            case "item.started" | "item.completed":
                return self._item(event.get("item") or {})
            case "turn.completed":
                self.usage = event.get("usage") or {}
            case "turn.failed":
                self.failure = str((event.get("error") or {}).get("message", ""))
        return False

    def complained(self, line: str) -> bool:
        """Take a line of the log; True where the program would go on by itself."""
        return self.requests.heard(line)

    def _item(self, item: dict[str, Any]) -> bool:
        kind = str(item.get("type", ""))
        if kind not in _OWN_ITEMS:
            self.foreign.append(kind)
            return True
        if kind == "agent_message":
            self.text = str(item.get("text", ""))
        elif kind == "error":
            self.warnings.append(excerpt(item.get("message", "")))
        return False

    def answer(self, code: int | None) -> Answer:  # noqa: ARG002 - it is 0 after a refusal
        """Return the answer.

        :raises ModelError: there is none.
        """
        if self.foreign:
            raise ModelError("protocol", f"codex used a tool of its own ({self.foreign[0]}), though they are off")
        if self.failure is not None:
            return self._failed(self.failure)
        if self.usage is None and self.requests.called and self.requests.first:
            return self._without_its_calls(self.requests.first)
        if self.usage is None:
            raise ModelError("protocol", "codex ended without an answer" + "".join(f"; {w}" for w in self.warnings[:1]))
        metadata = {"warnings": self.warnings} if self.warnings else {}
        # A refusal has no message at all; so has an empty reply, which is as good.
        stop: StopReason = "refused" if self.text is None else "done"
        return Answer(self.text or "", stop, _usage(self.usage), self.model, self.id, metadata)

    def _without_its_calls(self, usage: Usage) -> Answer:
        """Return a reply that called what nobody offered; of its text, what was printed before the end."""
        more = max(0, self.requests.begun - 1) * (usage.input + usage.output)
        charged = replace(usage, input=usage.input + more, source="estimated") if more else usage
        metadata = {"calls_not_offered": self.requests.called}
        return Answer(self.text or "", "done", charged, self.model, self.id, metadata)

    def _failed(self, said: str) -> Answer:
        if "max_output_tokens" in said:
            usage = Usage(ceil(self.size / _BYTES_PER_TOKEN), output=self.max_output_tokens, source="estimated")
            return Answer(self.text or "", "truncated", usage, self.model, self.id)
        raise self._error(said)

    def _error(self, said: str) -> ModelError:
        message = f"codex: {excerpt(said)}"
        status = _STATUS.search(said)
        if status:
            return answered_with(int(status["status"]), message)
        for pattern, kind, generated in _WORDS:
            if re.search(pattern, said, re.IGNORECASE):
                wait = seconds_until(said, self.clock()) if kind == "rate_limit" else None
                return ModelError(kind, message, retry_after=wait, generated=generated)
        if _is_refused_request(said):
            return ModelError("bad_request", message, generated=False)
        return ModelError("protocol", message)


def _is_refused_request(said: str) -> bool:
    """Say whether a sentence is the body of a 400, which is all the program tells of one."""
    body = object_of(said)
    return "error" in body or "detail" in body


def _usage(said: dict[str, Any]) -> Usage:
    return Usage(
        count(said, "input_tokens"),
        count(said, "cached_input_tokens"),
        count(said, "cache_write_input_tokens"),
        count(said, "output_tokens"),
        count(said, "reasoning_output_tokens"),
    )
