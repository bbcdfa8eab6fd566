"""A run of usual proportions over the vendors' wires: a map, files of some thousand characters, many turns."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import loader
from pipeline.config.settings import Limits, StageSettings, VendorSettings
from pipeline.events import CallReserved, CallSettled, RunEnded
from pipeline.surface import Binding
from stages.model import Model, Reply, Request
from tests.e2e import project
from tests.loopback import (
    ANTHROPIC_KEY,
    GOOGLE_KEY,
    OPENAI_KEY,
    Brain,
    LoopbackServer,
    Say,
    anthropic_server,
    by_model,
    by_turn,
    google_server,
    openai_server,
)
from tests.runner.scenario import Scenario, rung, settings

GENEROUS = 5_000_000
MODULES = tuple(f"shop/shelf_{number:02}.py" for number in range(14))
KEYS = {"anthropic": ANTHROPIC_KEY, "openai": OPENAI_KEY, "google": GOOGLE_KEY}
THOUGHT = "The shelf keeps its own rounding, so the discount has to be applied before and not after it is asked for. "


@dataclass(frozen=True)
class Team:
    """Who plays each stage, as (vendor, model)."""

    planner: tuple[str, str]
    coder: tuple[str, str]
    reviewer: tuple[str, str]


@dataclass(frozen=True)
class Account:
    """How a run ended and what its calls came to."""

    status: str
    settled: tuple[CallSettled, ...]
    reserved: tuple[CallReserved, ...]

    @property
    def used(self) -> int:
        """What the breaker charged."""
        return sum(call.tokens for call in self.settled)

    @property
    def longest_prompt(self) -> int:
        """The most input tokens of any call."""
        return max(int(call.usage["input"]) for call in self.settled)


class Wire:
    """Connects every binding to its vendor's SDK; `counting` off leaves every model without a counting endpoint."""

    def __init__(self, *, counting: bool) -> None:
        self._counting = counting

    async def connect(self, vendor: str, binding: Binding) -> Model:
        model = await loader.connect(vendor, binding)
        return model if self._counting else Uncounting(model)


class Uncounting:
    """A model whose vendor cannot say how long a request is."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def complete(self, request: Request) -> Reply:
        return await self._model.complete(request)

    async def count_tokens(self, request: Request) -> int | None:
        return None


def usual_run(folder: Path, team: Team, cap: int = GENEROUS, *, counting: bool = True) -> Account:
    """Run the ticket with so many tokens, on servers with empty caches, in a fresh folder."""
    place = folder / f"{cap}-{counting}"
    _repository(place / "shop")
    with _servers(team) as urls:
        scenario = Scenario(place, {}, _settings(team, cap, urls), keys=dict(KEYS))
        scenario.cast = Wire(counting=counting)  # type: ignore[assignment] # the wire itself, and no brains without it
        try:
            scenario.run()
        finally:
            scenario.store.close()
    events = scenario.events
    return Account(
        status=next(event.status for event in events if isinstance(event, RunEnded)),
        settled=tuple(event for event in events if isinstance(event, CallSettled)),
        reserved=tuple(event for event in events if isinstance(event, CallReserved)),
    )


@contextmanager
def _servers(team: Team) -> Iterator[Mapping[str, str]]:
    brains = {team.planner[1]: _planner(), team.coder[1]: _coder(), team.reviewer[1]: _reviewer()}
    makers: dict[str, Callable[[Brain], Any]] = {
        "anthropic": anthropic_server,
        "openai": openai_server,
        "google": google_server,
    }
    with ExitStack() as stack:
        servers: dict[str, LoopbackServer] = {
            vendor: stack.enter_context(makers[vendor](by_model(brains)))
            for vendor in {team.planner[0], team.coder[0], team.reviewer[0]}
        }
        yield {vendor: server.url for vendor, server in servers.items()}
        assert not [str(no) for server in servers.values() for no in server.rejections]


def _settings(team: Team, cap: int, urls: Mapping[str, str]) -> Any:
    def stage(name: Any, who: tuple[str, str]) -> StageSettings:
        entry = rung(who[1], vendor=who[0], max_output_tokens=16_000, effort="high")
        return StageSettings(name=name, rungs=(entry,), retry_budget=1)

    return settings(
        limits=Limits(tokens=cap, wall_clock=300.0),
        planner=stage("planner", team.planner),
        coder=stage("coder", team.coder),
        reviewer=stage("reviewer", team.reviewer),
        vendors={name: VendorSettings(name=name, base_url=url) for name, url in urls.items()},
    )


def _repository(path: Path) -> None:
    for number, name in enumerate(MODULES):
        functions = "\n\n".join(
            f"def shelf_{number}_price_{at}(cents: int, pieces: int) -> int:\n"
            f'    """Return what {at} pieces of shelf {number} cost together, in cents."""\n'
            f"    return cents * pieces + {at}\n"
            for at in range(30)
        )
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(f'"""Shelf {number} of the shop."""\n\n\n{functions}')
    (path / "CONTRIBUTING.md").write_text("# Contributing\n\n" + "Money is whole cents, never a float. " * 40)
    project.make_repository(path)


def _planner() -> Brain:
    looks = [_thinking("read_file", path=name, start_line=None, end_line=None) for name in MODULES[:5]]
    return by_turn(*looks, Say(f"{THOUGHT * 4}", calls=[("submit_manifest", project.manifest())]))


def _coder() -> Brain:
    looks = [_thinking("read_file", path=name, start_line=1, end_line=60) for name in MODULES[:8]]
    greps = [_thinking("run", command=f"grep -n cents {name}", timeout=None) for name in MODULES[8:11]]
    test = _thinking("write_file", path="tests/test_discount.py", content=project.NEW_TEST)
    edit = _thinking("edit_file", path="shop/price.py", old="    return sum(prices)", new=project.RIGHT)
    finish = Say(calls=[("finish", {"summary": "The discount is applied."})])
    return by_turn(*looks, test, edit, *greps, finish)


def _reviewer() -> Brain:
    looks = [_thinking("read_file", path=name, start_line=None, end_line=None) for name in MODULES[:3]]
    return by_turn(*looks, Say(THOUGHT, calls=[("submit_review", {"verdict": "approve", "findings": []})]))


def _thinking(tool: str, **arguments: Any) -> Say:
    return Say(THOUGHT * 5, calls=[(tool, arguments)])
