"""Put the real model into some stages of a run and a good one into the others, and hold what comes out to the truth."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import project
from tests.e2e.world import World, make_world
from tests.local_model.conftest import Tally, count
from tests.local_model.server import MODEL
from tests.local_model.truth import hold
from tests.loopback import Brain, by_model, chat_server

GOOD: Mapping[str, Brain] = {
    "planner": project.planner(),
    "coder": project.coder(),
    "debugger": project.debugger(),
    "reviewer": project.reviewer(),
}
CHECK = {"name": "tests", "run": "pytest -q --junitxml=$REPORT", "report": "junit", "timeout": "1m"}


@dataclass
class Production:
    """One run: `real` names the stages that the real model plays, through the vendor entry `vendor`."""

    world: World
    tally: Tally
    vendor: Mapping[str, Any]
    name: str = "mine"
    real: tuple[str, ...] = ("planner", "coder", "debugger", "reviewer")
    stage: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    brains: Mapping[str, Brain] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Run the ticket to its end, hold the run to the truth, count what happened and return its document."""
        before = project.fingerprint(self.world.repository)
        with self._configured():
            words = (self.world.ticket(), "--config", str(self.world.config))
            most = _envelope(self.world.run("check", *words).stdout)
            document = self.world.document("run", *words)
        assert document["run_id"] is not None, document
        assert document["status"] != "infrastructure", "nothing was broken but the model's mind"
        hold(self.world, document, before, most=most)
        self.events = self.world.events(document["run_id"])
        count(self.tally, document, self.events)
        return document

    @contextmanager
    def _configured(self) -> Iterator[None]:
        with chat_server(by_model({**GOOD, **self.brains}), key=None) as good:
            config = {
                "limits": {"tokens": 300_000, "wall_clock": "80s", **self.limits},
                "vendors": {self.name: dict(self.vendor), "good": {"base_url": good.url, "api_key": "none"}},
                "stages": {name: self._stage(name) for name in GOOD},
                "checks": [CHECK],
                "sandbox": {"memory": "2g", "disk": "512m"},
            }
            self.world.config.write_text(yaml.safe_dump(config, sort_keys=False))
            yield

    def _stage(self, name: str) -> dict[str, Any]:
        common = {"timeout": "25s", "retry_budget": 1, "max_output_tokens": 100}
        if name not in self.real:
            return {**common, "vendor": "good", "model": name, "max_output_tokens": 4000}
        return {**common, "vendor": self.name, "model": MODEL, **self.stage}


def chat(address: str) -> dict[str, Any]:
    """Return the vendor entry of the server's chat completions."""
    return {"base_url": f"{address}/v1", "api": "chat", "api_key": "none"}


def produce(folder: Path, tally: Tally, vendor: Mapping[str, Any], **more: Any) -> Production:
    """Return a run to be, in a world of its own."""
    return Production(make_world(folder), tally, vendor, **more)


def _envelope(said: str) -> dict[str, int]:
    """Return what `check` says a stage comes to at most."""
    found = re.findall(r"^  (\w+): \d+ attempts?, (\d+) with every item", said, re.MULTILINE)
    assert {name for name, _ in found} == set(GOOD), said
    return {name: int(most) for name, most in found}
