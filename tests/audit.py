"""Hold a run's event stream against the contract as an outside program would: from the events alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]


@dataclass
class Audit:
    """What the stream has shown so far; every method raises AssertionError at the event that breaks a rule.

    `cap` is the run's token cap and `shares` that of stages; `rungs` says how many rungs a stage has.
    """

    cap: int | None = None
    shares: Mapping[str, int] = field(default_factory=dict)
    rungs: Mapping[str, int] = field(default_factory=dict)
    held: dict[str, Event] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)
    starts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    consumed: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    open_attempt: Event | None = None
    last_ended: Event | None = None
    ended: bool = False
    opened: bool = False
    green_finals: set[str] = field(default_factory=set)

    def hear(self, events: Sequence[Event]) -> None:
        """Check a whole stream."""
        for number, event in enumerate(events, 1):
            assert event["seq"] == number, f"a gap before {event}"
            self._one(event)
        assert self.open_attempt is None or not self.ended, f"left open: {self.open_attempt}"

    def _one(self, event: Event) -> None:
        kind: str = event["kind"]
        assert not self.ended or kind in ("run.resumed", "human.answered", "run.ended"), f"after the end: {event}"
        handler = getattr(self, "_" + kind.replace(".", "_"), None)
        if handler is not None:
            handler(event)

    def _run_ended(self, event: Event) -> None:
        self.ended = True
        if event["status"] == "solved":
            assert event["branch"], event
        else:
            assert event["branch"] is None, event

    def _run_resumed(self, _: Event) -> None:
        self.ended = self.opened = False
        self.cap = None  # a resume may raise it

    def _attempt_started(self, event: Event) -> None:
        assert self.open_attempt is None, f"two attempts at once: {event}"
        seat = (event["stage"], event["item"])
        if event["fallback"]:
            self._restarted(event)
        else:
            self.starts[seat] += 1
        assert event["number"] == self.starts[seat], event
        last = self.rungs.get(event["stage"])
        expected = 1 + self.consumed[seat]
        if last is not None:
            assert event["rung"] in {min(expected, last), last}, f"rung {expected} was due: {event}"
        assert event["timeout"] > 0, event
        self.open_attempt = event

    def _restarted(self, event: Event) -> None:
        """An attempt goes on with its fallback: announced by its last ending, each entry once, in the time left."""
        before = self.last_ended
        assert before is not None, event
        assert before["continues_on"] == event["fallback"] == before["fallback"] + 1, (before, event)
        assert (before["outcome"], before["failure"]["kind"]) == ("stopped", "vendor"), before
        for name in ("stage", "item", "number", "rung", "cause"):
            assert event[name] == before[name], (before, event)
        assert event["timeout"] == before["seconds_left"], (before, event)

    def _attempt_ended(self, event: Event) -> None:
        started = self.open_attempt
        assert started is not None, event
        for name in ("stage", "item", "number", "rung", "vendor", "model", "fallback"):
            assert event[name] == started[name], (started, event)
        assert (event["failure"] is None) == (event["outcome"] == "passed"), event
        self.open_attempt, self.last_ended = None, event
        if event["outcome"] != "stopped":
            self.consumed[event["stage"], event["item"]] += 1

    def _call_reserved(self, event: Event) -> None:
        assert not self.opened, f"a call after the breaker opened: {event}"
        assert self.open_attempt is not None, event
        assert event["key"] not in self.held, event
        self.held[event["key"]] = event
        self._bounded(event)

    def _call_settled(self, event: Event) -> None:
        reserved = self.held.pop(event["key"])
        assert event["overrun"] or event["tokens"] <= reserved["tokens"], (reserved, event)
        self.spent[event["stage"]] += event["tokens"]
        self._bounded(event)

    def _call_refused(self, event: Event) -> None:
        self.held.pop(event["key"])

    def _breaker_opened(self, _: Event) -> None:
        self.opened = True

    def _bounded(self, event: Event) -> None:
        held = Counter[str]()
        for call in self.held.values():
            held[call["stage"]] += call["tokens"]
        if self.cap is not None:
            assert self.spent.total() + held.total() <= self.cap, f"over the cap: {event}"
        for stage, share in self.shares.items():
            assert self.spent[stage] + held[stage] <= share, f"over the share of {stage}: {event}"

    def _check_finished(self, event: Event) -> None:
        if event["phase"] == "final" and (event["green"] or not event["binds"]):
            self.green_finals.add(event["item"])

    def _item_accepted(self, event: Event) -> None:
        assert event["change"], event
