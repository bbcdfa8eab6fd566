"""The model's server, and what it provoked: counted over all runs and told at the end of the tests."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.local_model.server import real_server
from tests.local_model.truth import attempts

Tally = Counter[str]
_TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """One server for all tests: what prompts have in common it reads once."""
    with real_server() as running:
        yield running


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """What was provoked so far, by what it was called."""
    return request.config.stash.setdefault(_TALLY, Counter())


def count(tally: Tally, document: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
    """Add a run: its ending, how its attempts ended, and what was refused in between."""
    tally[f"run {document['status']}"] += 1
    for each in attempts(document):
        failure = each["failure"] or {}
        tally[" ".join(("attempt", each["outcome"], failure.get("code") or "")).rstrip()] += 1
    tally.update(f"{event['kind']} {event['code']}" for event in events if event["kind"].startswith("gate."))
    tally.update(f"tool {event['tool']}" for event in events if event["kind"] == "tool.called")
    tally.update(f"call {event['stop'] or event['error']}" for event in events if event["kind"] == "call.settled")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the counts."""
    tally = config.stash.get(_TALLY, Counter[str]())
    if tally:
        terminalreporter.section("what the model provoked")
    for name, number in sorted(tally.items()):
        terminalreporter.write_line(f"{number:4} {name}")
