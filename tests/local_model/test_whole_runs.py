"""A model that talks nonsense for a vendor: every run ends within its bounds, says the truth and leaves no trace."""

from pathlib import Path

import pytest

from tests.local_model.casting import chat, produce
from tests.local_model.conftest import Tally
from tests.local_model.server import CALLS, front, real_server
from tests.local_model.truth import attempts

pytestmark = [pytest.mark.local_model, pytest.mark.docker, pytest.mark.timeout(150)]
# Seed and temperature: as the model's makers advise, as certain as it can be, and far beyond what it was made for.
MOODS = [(1, 0.2), (2, 0.0), (3, 2.0)]


@pytest.mark.parametrize(("seed", "temperature"), MOODS)
def test_a_ticket_on_chat_completions(
    tmp_path: Path, tally: Tally, address: str, seed: int, temperature: float
) -> None:
    with front(address, seed=seed) as seeded:
        produce(tmp_path, tally, chat(seeded), stage={"temperature": temperature}).run()


def test_a_ticket_on_the_responses_api(tmp_path: Path, tally: Tally, address: str) -> None:
    produce(tmp_path, tally, chat(address) | {"api": "responses"}).run()


def test_a_ticket_on_anthropics_messages(tmp_path: Path, tally: Tally, address: str) -> None:
    made = produce(tmp_path, tally, {"base_url": address}, name="anthropic")
    made.world.keys = {"ANTHROPIC_API_KEY": "sk-of-no-worth"}
    made.run()


@pytest.mark.parametrize("stage", ["planner", "coder"])
def test_one_stage_of_a_good_team_on_a_server_without_tools(
    tmp_path: Path, tally: Tally, address: str, stage: str
) -> None:
    patient = {"temperature": 0.7, "timeout": "60s", "retry_budget": 0}
    with front(address, tools=False, seed=4) as refusing:
        made = produce(tmp_path, tally, chat(refusing), real=(stage,), stage=patient)
        made.run()
    assert [words for event in made.events for words in event.get("adapted", ()) if "offered as text" in words]


@pytest.mark.parametrize(("stage", "seed"), [("coder", 5), ("coder", 6), ("reviewer", 7)])
def test_one_stage_of_a_good_team_that_does_nothing_but_call_tools(
    tmp_path: Path, tally: Tally, address: str, stage: str, seed: int
) -> None:
    busy = {"temperature": 1.5, "timeout": "35s", "retry_budget": 0}
    with front(address, tools=False, seed=seed, grammar=CALLS) as calling:
        made = produce(tmp_path, tally, chat(calling), real=(stage,), stage=busy)
        made.run()
    assert [event for event in made.events if event["kind"] in {"tool.called", "gate.refused"}]


def test_a_prompt_beyond_the_models_context_is_an_unusable_reply_in_every_protocol(
    tmp_path: Path, tally: Tally
) -> None:
    with real_server(context=512) as small:
        entries = {
            "chat": ("mine", chat(small)),
            "responses": ("mine", chat(small) | {"api": "responses"}),
            "messages": ("anthropic", {"base_url": small}),
        }
        for protocol, (name, entry) in entries.items():
            made = produce(tmp_path / protocol, tally, entry, name=name)
            made.world.keys = {"ANTHROPIC_API_KEY": "sk-of-no-worth"}
            document = made.run()
            assert document["status"] == "unsolved", (protocol, document)
            assert {each["failure"]["code"] for each in attempts(document)} == {"too_large"}, protocol
            assert document["usage"]["counted"] == 0, protocol


def test_a_timeout_in_the_middle_of_a_reply_ends_the_attempt_and_frees_the_server(
    tmp_path: Path, tally: Tally, address: str
) -> None:
    stage = {"timeout": "3s", "max_output_tokens": 2500, "temperature": 2.0}
    document = produce(tmp_path, tally, chat(address), stage=stage).run()
    assert {each["outcome"] for each in attempts(document)} <= {"timed_out", "unusable"}


def test_a_small_cap_opens_the_breaker(tmp_path: Path, tally: Tally, address: str) -> None:
    document = produce(tmp_path, tally, chat(address), limits={"tokens": 3000}).run()
    assert document["status"] == "budget_stop", document
