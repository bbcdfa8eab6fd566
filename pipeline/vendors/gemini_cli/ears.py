"""Reads what `gemini` streams, and ends it before it tries again, which it does whatever it is told.

It never says that a reply was cut, so a reply as long as its limit counts as cut.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.vendors._command_line import Answer
from pipeline.vendors._counts import count
from pipeline.vendors._hearing import answered_with, object_of
from pipeline.vendors._wire import excerpt
from stages.model import ErrorKind, ModelError, StopReason, Usage

_TRIES_AGAIN = re.compile(r"Attempt \d+ failed.*?Retrying", re.DOTALL)
_STATUS = re.compile(r"failed with status (?P<status>\d{3})")
_DELAY = re.compile(r"Retrying after (?P<milliseconds>\d+)ms")
_SUGGESTED = re.compile(r"(?:retry after|retry in) (?P<seconds>\d+(?:\.\d+)?)s")
_RESET = re.compile(r"reset after (?P<span>(?:\d+[hms])+)")
_PART = re.compile(r"(\d+)([hms])")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_REFUSED = re.compile(r"blocked due to|safety|prohibited|recitation|blocklist|sensitive personal", re.IGNORECASE)
# What the program exits with is the HTTP status cut to eight bits.
_EXITS = {status & 255: status for status in (400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504)}
_FATAL_AUTH = 41
_MOST_COMPLAINTS = 200


@dataclass(slots=True)
class GeminiEars:
    """One run of `gemini` with one model."""

    model: str
    max_output_tokens: int
    id: str = ""
    text: list[str] = field(default_factory=list)
    error: str | None = None
    result: dict[str, Any] | None = None
    complaints: list[str] = field(default_factory=list)

    def said(self, line: str) -> bool:
        """Take one JSON line; it never ends the program."""
        event = object_of(line)
        match event.get("type"):
            case "init":
                self.id = str(event.get("session_id", ""))
            case "message" if event.get("role") == "assistant":
                self.text.append(str(event.get("content", "")))
            case "error":
                self.error = str(event.get("message", ""))
            case "result":
                self.result = event
        return False

    def complained(self, line: str) -> bool:
        """Take a line of standard error; True where it says that another request will follow."""
        if len(self.complaints) < _MOST_COMPLAINTS:
            self.complaints.append(line)
        return "Retrying" in line and bool(_TRIES_AGAIN.search("\n".join(self.complaints)))

    def answer(self, code: int | None) -> Answer:
        """Return the answer.

        :raises ModelError: there is none.
        """
        if self.result is None:
            raise self._silence(code)
        if self.result.get("status") != "success":
            return self._unsuccessful(code)
        usage = self._usage()
        stop: StopReason = "truncated" if usage.output >= self.max_output_tokens else "done"
        others = [name for name in self._models() if name != self.model]
        metadata = {"other_models": others} if others else {}
        return Answer("".join(self.text), stop, usage, self.model, self.id, metadata)

    def _unsuccessful(self, code: int | None) -> Answer:
        said = (self.result or {}).get("error")
        if isinstance(said, Mapping):
            raise _api_error(str(said.get("message", "")), code)
        message = self.error or "the program says `error` and nothing more"
        usage = self._usage()
        if _REFUSED.search(message):
            return Answer("".join(self.text), "refused", usage, self.model, self.id, {"message": excerpt(message)})
        if "empty response" in message:
            return Answer("", "done", usage, self.model, self.id)
        spent = (usage.input, usage.cache_read) if usage.input else None
        raise ModelError("protocol", f"gemini: {excerpt(message)}", input_reported=spent)

    def _silence(self, code: int | None) -> ModelError:
        complaint = "\n".join(self.complaints)
        again = _TRIES_AGAIN.search(complaint)
        if again:
            return _attempt_failed(complaint[again.start() :])
        if code == _FATAL_AUTH or "Manual authorization" in complaint:
            return ModelError("auth", f"gemini has no login that works: {_last(complaint)}", generated=False)
        if code in _EXITS:
            return _api_error(_last(complaint), code)
        return ModelError("protocol", f"gemini gave no answer: {_last(complaint) or 'it said nothing'}")

    def _models(self) -> dict[str, Mapping[str, Any]]:
        stats = (self.result or {}).get("stats")
        models = stats.get("models") if isinstance(stats, Mapping) else None
        found = models if isinstance(models, Mapping) else {}
        return {name: each for name, each in found.items() if isinstance(each, Mapping) and each.get("total_tokens")}

    def _usage(self) -> Usage:
        """Return the sum over all models; what is not prompt is output, thoughts included."""
        said = list(self._models().values())
        total, prompt, cached, candidates = (
            sum(count(each, name) for each in said)
            for name in ("total_tokens", "input_tokens", "cached", "output_tokens")
        )
        output = max(total - prompt, candidates)
        return Usage(prompt, min(cached, prompt), 0, output, output - candidates)


def _api_error(said: str, code: int | None) -> ModelError:
    text, status = _unwrapped(said)
    status = status or _EXITS.get(code or 0)
    message = f"gemini: {excerpt(text)}"
    wait = _wait(text)
    if re.search(r"exhausted your|quota", text, re.IGNORECASE) and status in {None, 429}:
        return ModelError("rate_limit", message, retry_after=wait, generated=False, status=429)
    if status is None:
        return ModelError("network" if re.search(r"fetch failed|ECONN|socket", text) else "protocol", message)
    kind: ErrorKind | None = "too_large" if status == 400 and "token" in text and "exceed" in text else None
    return answered_with(status, message, kind=kind, retry_after=wait)


def _attempt_failed(complaint: str) -> ModelError:
    """Return the error after which the program wanted to try again."""
    first = complaint.split("Retrying", 1)[0]
    status, delay = _STATUS.search(first), _DELAY.search(complaint)
    message = f"gemini: {excerpt(first)}"
    if status:
        return answered_with(int(status["status"]), message, retry_after=_wait(complaint))
    if delay:
        wait = _wait(first) or int(delay["milliseconds"]) / 1000
        return ModelError("rate_limit", message, retry_after=wait, generated=False, status=429)
    return ModelError("network", message)


def _unwrapped(said: str) -> tuple[str, int | None]:
    """Return the vendor's own words and status out of `[API Error: {...}]`."""
    text = said.removeprefix("[API Error: ")
    start = text.find("{")
    try:
        body, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else (None, 0)
    except ValueError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return text, None
    code = error.get("code")
    return str(error.get("message", "")), code if isinstance(code, int) else None


def _wait(said: str) -> float | None:
    reset, suggested = _RESET.search(said), _SUGGESTED.search(said)
    if reset:
        return float(sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(reset["span"])))
    return float(suggested["seconds"]) if suggested else None


def _last(complaint: str) -> str:
    lines = [line for line in complaint.splitlines() if line.strip() and not line.startswith((" ", "Warning"))]
    return excerpt(lines[-1]) if lines else ""
