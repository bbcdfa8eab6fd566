"""Reads what `claude` streams: the first message is the answer, and whatever would be asked after it is not waited for.

A reply that was cut, refused or empty makes the program ask again by itself; it is ended before that, and a call it
had begun all the same is charged by an estimate.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.vendors._command_line import Answer
from pipeline.vendors._counts import count
from pipeline.vendors._hearing import answered_with, object_of
from pipeline.vendors._wire import excerpt, kind_of
from pipeline.vendors.anthropic.reply import usage as usage_of
from stages.model import ErrorKind, ModelError, StopReason, Usage

_STOPS: dict[str, StopReason] = {
    "end_turn": "done",
    "stop_sequence": "done",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "refusal": "refused",
}


@dataclass(slots=True)
class ClaudeEars:
    """One run of `claude` with one model."""

    model: str
    asked: int = 0  # how many requests the program has begun
    answered_by: str = ""
    id: str = ""
    text: list[str] = field(default_factory=list)
    stop: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    limit: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def said(self, line: str) -> bool:
        """Take one JSON line; True once the reply is whole and the program would go on by itself."""
        event = object_of(line)
        match event.get("type"):
            case "system" if event.get("status") == "requesting":
                self.asked += 1
            case "system" if event.get("subtype") == "api_retry":
                self.limit.setdefault("retried", event.get("error_status"))
                return True
            case "rate_limit_event":
                self.limit |= event.get("rate_limit_info") or {}
            case "stream_event" if self.stop is None:
                return self._streamed(event.get("event") or {})
            case "result":
                self.result = event
        return False

    def complained(self, line: str) -> bool:
        """Keep a line of standard error for the message."""
        self.complaints.append(line)
        return False

    def _streamed(self, event: Mapping[str, Any]) -> bool:
        match event.get("type"):
            case "message_start":
                message = event.get("message") or {}
                self.answered_by, self.id = str(message.get("model", "")), str(message.get("id", ""))
                self.usage |= message.get("usage") or {}
            case "content_block_delta" if (event.get("delta") or {}).get("type") == "text_delta":
                self.text.append(str(event["delta"].get("text", "")))
            case "message_delta":
                self.usage |= event.get("usage") or {}
                self.stop = (event.get("delta") or {}).get("stop_reason")
                return self.stop is not None and not (self.stop == "end_turn" and self.text)
        return False

    def answer(self, code: int | None) -> Answer:  # noqa: ARG002 - it is 0 after a failure and 1 after an answer
        """Return the answer, with every call the program made charged.

        :raises ModelError: there is none, or another model gave it.
        """
        if self.stop is None:
            raise self._failure()
        if self.stop not in _STOPS:
            raise ModelError("protocol", f"the reply stopped for an unknown reason: {self.stop!r}")
        usage, stop = self._charged(), _STOPS[self.stop]
        if stop != "refused" and not _same(self.answered_by, self.model):
            spent = (usage.input + usage.output, usage.cache_read)
            message = f"{self.answered_by} answered instead of {self.model}"
            raise ModelError("protocol", message, input_reported=spent)
        others = sorted(name for name in self._by_model() if not _same(name, self.model))
        metadata = {"other_models": others} if others else {}
        return Answer("".join(self.text), stop, usage, self.answered_by, self.id, metadata)

    def _by_model(self) -> Mapping[str, Any]:
        said = self.result.get("modelUsage")
        return said if isinstance(said, Mapping) else {}

    def _charged(self) -> Usage:
        """Return the sum over all models where the program got as far as adding up, else the first reply's."""
        if self._by_model():
            return _sum([_of_model(each) for each in self._by_model().values()])
        usage = usage_of(self.usage)
        hidden = max(0, self.asked - 1)
        if not hidden:
            return usage
        more = hidden * (usage.input + usage.output)
        return replace(usage, input=usage.input + more, source="estimated")

    def _failure(self) -> ModelError:
        status = self.result.get("api_error_status") or self.limit.get("retried")
        said = excerpt(self.result.get("result") or " ".join(self.complaints) or "no result line")
        if not self.result and status is None:
            return ModelError("protocol", f"claude gave no answer: {said}")
        if isinstance(status, int):
            message = f"claude was answered {status}: {said}"
            return answered_with(status, message, kind=_kind(status, said), retry_after=self._reset())
        return _without_status(self.result, said)

    def _reset(self) -> float | None:
        """Return the seconds until the window of the subscription that is used up begins anew."""
        at = self.limit.get("resetsAt")
        rejected = self.limit.get("status") == "rejected"
        return max(0.0, at - time.time()) if rejected and isinstance(at, int | float) else None


def _kind(status: int, said: str) -> ErrorKind:
    text = said.lower()
    if "credit balance" in text or "spend limit" in text:
        return "billing"
    if status == 400 and "prompt is too long" in text:
        return "too_large"
    return kind_of(status)


def _without_status(result: Mapping[str, Any], said: str) -> ModelError:
    text = said.lower()
    if "not logged in" in text or "/login" in text:
        return ModelError("auth", said, generated=False)
    if "prompt is too long" in text:
        return ModelError("too_large", said, generated=False)
    if result.get("api_error") == "connection_failed":
        return ModelError("network", said, generated="refused" not in text and "enotfound" not in text)
    return ModelError("protocol", f"claude gave no answer: {said}")


def _same(one: str, other: str) -> bool:
    """Say whether two ids name one model; the vendor adds a date, the program a window such as `[1m]`."""
    one, other = one.partition("[")[0], other.partition("[")[0]
    return one == other or one.startswith(f"{other}-20") or other.startswith(f"{one}-20")


def _of_model(said: Any) -> Usage:
    if not isinstance(said, Mapping):
        raise ModelError("protocol", f"the usage of a model is {excerpt(said)}")
    read, written = count(said, "cacheReadInputTokens"), count(said, "cacheCreationInputTokens")
    fresh = count(said, "inputTokens")
    return Usage(fresh + read + written, read, written, count(said, "outputTokens"), count(said, "thinkingTokens"))


def _sum(usages: list[Usage]) -> Usage:
    names = ("input", "cache_read", "cache_write", "output", "reasoning")
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in names})
