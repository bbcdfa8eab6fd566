"""A ticket is solved on OpenAI-compatible servers as their users have them: by name, by variable, by an entry."""

from pathlib import Path

import pytest
import yaml

from tests.e2e import project
from tests.e2e.vendors import cast
from tests.e2e.world import make_world, outcomes
from tests.loopback import CHAT_KEY, Traits, by_model, chat_server

pytestmark = pytest.mark.docker

BRAINS = {"gemma": project.planner(), "qwen": project.coder(), "judge": project.reviewer()}


def _stage(vendor: str, model: str) -> dict[str, object]:
    return {"vendor": vendor, "model": model, "timeout": "120s", "retry_budget": 0, "max_output_tokens": 4000}


def test_a_local_server_without_tools_a_server_of_ones_own_and_azure_solve_a_ticket(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    brain = by_model(BRAINS)
    azure_traits = Traits(key_header="api-key", path="/openai/v1")
    with (
        cast({}) as servers,
        chat_server(brain, key=None, traits=Traits(tools=False)) as ollama,
        chat_server(brain) as mine,
        chat_server(brain, traits=azure_traits) as azure,
    ):
        config = yaml.safe_load(servers.config())
        config["vendors"] = {
            "mine": {"base_url": mine.url, "api_key_env": "MY_KEY", "prices": {"*": {"input": 1, "output": 2}}}
        }
        config["stages"] = {
            "planner": _stage("ollama", "gemma"),
            "coder": _stage("mine", "qwen"),
            "debugger": "none",
            "reviewer": _stage("azure", "judge"),
        }
        world.config.write_text(yaml.safe_dump(config))
        world.keys = {
            "OLLAMA_HOST": ollama.url.removeprefix("http://").removesuffix("/v1"),
            "MY_KEY": CHAT_KEY,
            "AZURE_OPENAI_ENDPOINT": azure.url.removesuffix("/openai/v1"),
            "AZURE_OPENAI_API_KEY": CHAT_KEY,
        }
        document = world.document("run", world.ticket(), "--config", str(world.config))
    assert document["status"] == "solved", document
    assert outcomes(document) == [
        "planner #1 rung 1 gemma passed",
        "coder #1 rung 1 qwen passed",
        "reviewer #1 rung 1 judge passed",
    ]
    costs = {each["vendor"]: each["cost"] for each in document["models"]}
    assert (costs["ollama"], costs["azure"]) == (None, None)
    assert float(costs["mine"]) > 0
    report = world.run("report", document["run_id"]).stdout
    assert "ollama/gemma: it takes no tools" in report


def test_what_is_missing_is_said_before_anything_is_spent(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with cast({}) as servers:
        config = yaml.safe_load(servers.config())
    config["stages"]["reviewer"] = _stage("azure", "judge")
    world.config.write_text(yaml.safe_dump(config))
    done = world.run("check", world.ticket(), "--config", str(world.config))
    assert done.returncode == 3
    assert "SW406" in done.stdout + done.stderr
    assert "AZURE_OPENAI_API_KEY or AZURE_API_KEY is empty" in done.stdout + done.stderr
    assert "SW411" in done.stdout + done.stderr
    assert "type `export AZURE_OPENAI_ENDPOINT=https://...`" in done.stdout + done.stderr
