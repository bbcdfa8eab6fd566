"""The three loopback servers as one cast, and the configuration that puts each stage on its vendor."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from tests.loopback import (
    ANTHROPIC_KEY,
    GOOGLE_KEY,
    OPENAI_KEY,
    Brain,
    LoopbackServer,
    anthropic_server,
    by_model,
    google_server,
    openai_server,
)

PLANNER = "claude-opus-5-5"
CODER = "claude-sonnet-5-5"
STRONG_CODER = "claude-fable-5-2"
DEBUGGER = "gpt-6.1-sol"
REVIEWER = "gemini-3.8-flash"
KEYS = {"ANTHROPIC_API_KEY": ANTHROPIC_KEY, "OPENAI_API_KEY": OPENAI_KEY, "GEMINI_API_KEY": GOOGLE_KEY}


@dataclass(frozen=True)
class Cast:
    """The servers of one test."""

    anthropic: LoopbackServer
    openai: LoopbackServer
    google: LoopbackServer

    def config(self, **changes: Mapping[str, Any]) -> str:
        """Return a `pipeline.yaml`; `changes` are merged into its sections, stage entries by name."""
        config: dict[str, Any] = {
            "limits": {"tokens": 600_000, "wall_clock": "10m"},
            "vendors": {
                "anthropic": {"base_url": self.anthropic.url},
                "openai": {"base_url": self.openai.url},
                "google": {"base_url": self.google.url},
            },
            "stages": {
                "planner": _stage("anthropic", PLANNER),
                "coder": _stage("anthropic", CODER) | {"escalation": [{"model": STRONG_CODER}]},
                "debugger": _stage("openai", DEBUGGER),
                "reviewer": _stage("google", REVIEWER),
            },
            "checks": [
                {
                    "name": "tests",
                    "run": "pytest -q --junitxml=$REPORT",
                    "focus": "pytest -q {tests} --junitxml=$REPORT",
                    "report": "junit",
                    "timeout": "2m",
                }
            ],
            "sandbox": {"memory": "2g", "disk": "512m"},
        }
        for name, change in changes.items():
            target = config["stages"] if name in config["stages"] else config
            target[name] = {**target.get(name, {}), **change}
        return yaml.safe_dump(config, sort_keys=False)

    @property
    def calls(self) -> list[str]:
        """Return the model of every call that any server saw, by server."""
        return [*self.anthropic.models, *self.openai.models, *self.google.models]


def _stage(vendor: str, model: str) -> dict[str, Any]:
    return {"vendor": vendor, "model": model, "timeout": "120s", "retry_budget": 1, "max_output_tokens": 8000}


@contextmanager
def cast(brains: Mapping[str, Brain]) -> Iterator[Cast]:
    """Yield running servers; `brains` maps model to what it says."""
    with ExitStack() as stack:
        yield Cast(
            stack.enter_context(anthropic_server(by_model(brains))),
            stack.enter_context(openai_server(by_model(brains))),
            stack.enter_context(google_server(by_model(brains))),
        )
