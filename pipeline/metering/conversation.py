"""Bound the input tokens of a call by what the call before it in the same attempt reported."""

from dataclasses import dataclass

from pipeline.memory.budget import input_bound
from pipeline.memory.transcript import request_size, turns_size
from stages.model import Reply, Request, Turn, Usage


@dataclass(frozen=True, slots=True)
class _Heard:
    request: Request
    reply: Reply


class Conversation:
    """The last answered call of an attempt on one model."""

    def __init__(self) -> None:
        self._last: _Heard | None = None

    def heard(self, request: Request, reply: Reply) -> None:
        """Remember an answered call."""
        self._last = _Heard(request, reply)

    def bound(self, request: Request) -> int:
        """Return the most input tokens this request can have."""
        appended = self._appended(request)
        if self._last is None or appended is None:
            return input_bound(request_size(request))
        usage: Usage = self._last.reply.usage
        return input_bound(request_size(request), previous=usage, appended_bytes=turns_size(appended))

    def reported(self, request: Request) -> int:
        """Return the input that was reported for the call this request extends, 0 when there is none."""
        if self._last is None or self._appended(request) is None or self._last.reply.usage.source != "reported":
            return 0
        return self._last.reply.usage.input

    def _appended(self, request: Request) -> tuple[Turn, ...] | None:
        """Return the turns added to the last call and its reply, None when the request is not their extension."""
        if self._last is None:
            return None
        before = self._last.request
        same = (request.system, tuple(request.tools)) == (before.system, tuple(before.tools))
        turns, known = tuple(request.turns), tuple(before.turns)
        if not same or turns[: len(known)] != known:
            return None
        further = turns[len(known) :]
        if not further:
            return ()
        return further[1:] if further[0] == self._last.reply.turn else None
