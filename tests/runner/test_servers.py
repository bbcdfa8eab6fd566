"""Runs on OpenAI-compatible servers: stages talk to them by tools or in text, and the report says what was adapted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline import loader
from pipeline.config.settings import Rung, StageSettings, VendorSettings
from pipeline.events import CallReserved, CallSettled, GateRefused
from pipeline.reporting.archive import read_run
from pipeline.reporting.report import markdown
from tests.e2e import project
from tests.loopback import CHAT_KEY, Brain, Say, Traits, by_model, chat_server
from tests.runner.scenario import Scenario, audited, on_turn, settings

NO_TOOLS = "it takes no tools: they are offered as text, and calls are read from fenced blocks"


def stage(name: str, vendor: str, model: str) -> StageSettings:
    rung = Rung(vendor=vendor, model=model, timeout=60.0, max_output_tokens=4000)
    return StageSettings.model_validate({"name": name, "rungs": (rung,), "retry_budget": 1})


@contextmanager
def on_servers(folder: Path, coder: Brain, *, reports: bool = True) -> Iterator[Scenario]:
    """Yield a run whose Planner's server takes tools and whose Coder's does not, nor its limit's newer name."""
    brains = {"planner-model": project.planner(), "coder-model": coder}
    lesser = Traits(tools=False, refuses=frozenset({"max_completion_tokens"}))
    whole = Traits(reports=reports)
    with (
        chat_server(by_model(brains), traits=whole) as full,
        chat_server(by_model(brains), key=None, traits=lesser) as less,
    ):
        vendors = {
            "mine": VendorSettings(name="mine", surface="compatible", base_url=full.url, api_key_env="MINE"),
            "ollama": VendorSettings(name="ollama", base_url=less.url, key_optional=True),
        }
        stages = {
            "planner": stage("planner", "mine", "planner-model"),
            "coder": stage("coder", "ollama", "coder-model"),
        }
        scenario = Scenario(folder, {}, settings(vendors=vendors, **stages), keys={"mine": CHAT_KEY})
        scenario.cast.connect = loader.connect  # type: ignore[method-assign,assignment]
        try:
            yield scenario
            audited(scenario)
        finally:
            scenario.store.close()


def test_a_ticket_is_solved_and_the_report_says_what_the_servers_did_not_take(tmp_path: Path) -> None:
    with on_servers(tmp_path, project.coder()) as run:
        ended = run.run()
        assert (ended.status, ended.branch) == ("solved", "stagewright/discount"), ended.reason
        settled = [event for event in run.events if isinstance(event, CallSettled)]
        told = [event for event in settled if event.adapted]
        assert [(event.vendor, event.turn) for event in told] == [("ollama", 1)]
        assert NO_TOOLS in told[0].adapted
        assert all(event.cost is None for event in settled), "a price nobody knows is unknown"
        archived = read_run(run.store, run.run_id)
        assert f"ollama/coder-model: {NO_TOOLS}" in archived.account.warnings
        assert f"* ollama/coder-model: {NO_TOOLS}" in markdown(archived, resume=None)


def test_calls_in_text_that_do_not_fit_are_refused_and_repaired_in_the_same_attempt(tmp_path: Path) -> None:
    wrong = Say(calls=[("finish", '{"summary": ')])
    silent = Say("I am done.")
    coder = on_turn(on_turn(shifted(project.coder(), 2), 0, wrong), 1, silent)
    with on_servers(tmp_path, coder) as run:
        ended = run.run()
        assert ended.status == "solved", ended.reason
        assert run.outcomes == ["planner planner-model passed", "coder apply-discount coder-model passed"]
        refused = [(event.tool, event.code) for event in run.events if isinstance(event, GateRefused)]
        assert refused == [("finish", "bad_arguments")]


def test_a_server_that_reports_no_usage_is_charged_what_was_reserved(tmp_path: Path) -> None:
    with on_servers(tmp_path, project.coder(), reports=False) as run:
        assert run.run().status == "solved"
        reserved = {event.key: event.tokens for event in run.events if isinstance(event, CallReserved)}
        settled = [event for event in run.events if isinstance(event, CallSettled)]
        assert {event.vendor: event.usage["source"] for event in settled} == {"mine": "reserved", "ollama": "reported"}
        assert all(event.tokens == reserved[event.key] for event in settled if event.vendor == "mine")
        assert all(event.tokens < reserved[event.key] for event in settled if event.vendor == "ollama")


def test_a_model_that_never_writes_a_call_is_unusable(tmp_path: Path) -> None:
    with on_servers(tmp_path, lambda _: Say("I would now edit the file.")) as run:
        assert run.run().status == "unsolved"
        assert run.outcomes[1:] == ["coder apply-discount coder-model unusable"] * 2


def shifted(brain: Brain, turns: int) -> Brain:
    """Return a brain that begins so many turns later."""
    return lambda conversation: brain(replace(conversation, turn=conversation.turn - turns))
