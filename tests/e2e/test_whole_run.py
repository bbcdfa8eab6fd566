"""The main job: a ticket becomes a reviewed branch, through real SDKs, real git and real containers."""

from pathlib import Path

import pytest

from tests.e2e import project
from tests.e2e.vendors import CODER, DEBUGGER, KEYS, PLANNER, REVIEWER, STRONG_CODER, cast
from tests.e2e.world import World, make_world, outcomes
from tests.loopback import Brain

pytestmark = pytest.mark.docker

TEAM = {
    PLANNER: project.planner(),
    CODER: project.coder(),
    STRONG_CODER: project.coder(project.RIGHT, old=project.HALFWAY),
    DEBUGGER: project.debugger(),
    REVIEWER: project.reviewer(),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.keys = dict(KEYS)
    return made


def test_three_vendors_solve_a_ticket_and_nothing_but_a_branch_is_added(world: World) -> None:
    before = project.git(world.repository, "for-each-ref"), project.git(world.repository, "status", "--porcelain")
    with cast(TEAM) as servers:
        world.config.write_text(servers.config())
        document = world.document("run", world.ticket(), "--config", str(world.config))
        assert document["status"] == "solved", document
        assert set(servers.anthropic.models) == {PLANNER, CODER}
        assert set(servers.google.models) == {REVIEWER}
        assert servers.openai.models == []
    assert outcomes(document) == [
        f"planner #1 rung 1 {PLANNER} passed",
        f"coder #1 rung 1 {CODER} passed",
        f"reviewer #1 rung 1 {REVIEWER} passed",
    ]
    assert document["branch"] == "stagewright/discount"
    assert document["receipt"]["unchanged"]
    refs = project.git(world.repository, "for-each-ref")
    assert [line for line in refs.splitlines() if line not in before[0]] == [
        f"{document['commit']} commit\trefs/heads/stagewright/discount"
    ]
    assert project.git(world.repository, "status", "--porcelain") == before[1]
    message = project.git(world.repository, "log", "-1", "--format=%B", document["branch"])
    assert document["run_id"] in message
    assert project.RIGHT.strip() in project.git(world.repository, "show", f"{document['branch']}:shop/price.py")


def test_a_red_attempt_escalates_and_the_debugger_routes_back(world: World) -> None:
    brains = TEAM | {CODER: project.coder(project.HALFWAY), STRONG_CODER: _stubborn_then_right()}
    with cast(brains) as servers:
        world.config.write_text(servers.config())
        document = world.document("run", world.ticket(), "--config", str(world.config))
        assert set(servers.openai.models) == {DEBUGGER}
    assert outcomes(document) == [
        f"planner #1 rung 1 {PLANNER} passed",
        f"coder #1 rung 1 {CODER} red",
        f"coder #2 rung 2 {STRONG_CODER} red",
        f"coder #3 rung 2 {STRONG_CODER} passed",
        f"debugger #1 rung 1 {DEBUGGER} passed",
        f"reviewer #1 rung 1 {REVIEWER} passed",
    ]
    assert document["status"] == "solved"
    kinds = [event["kind"] for event in world.events(document["run_id"])]
    assert kinds.index("route.chosen") < len(kinds) - kinds[::-1].index("item.accepted")


def _stubborn_then_right() -> Brain:
    stubborn, right = project.coder(project.WRONG, old=project.HALFWAY), project.coder(project.RIGHT, old=project.WRONG)
    return lambda conversation: (right if "Divide by 100." in "".join(conversation.texts) else stubborn)(conversation)


def test_swapping_the_reviewer_by_set_changes_only_the_reviewers_calls(world: World) -> None:
    with cast(TEAM | {"gpt-6-luna": project.reviewer()}) as servers:
        world.config.write_text(servers.config())
        first = world.document("run", world.ticket(), "--config", str(world.config))
        asked = [list(server.models) for server in (servers.anthropic, servers.openai, servers.google)]
        second = world.document(
            "run", world.ticket(), "--config", str(world.config),
            "--set", "stages.reviewer.vendor=openai", "--set", "stages.reviewer.model=gpt-6-luna",
        )  # fmt: skip
        again = [list(server.models) for server in (servers.anthropic, servers.openai, servers.google)]
    assert [first["status"], second["status"]] == ["solved", "solved"]
    assert second["branch"] == "stagewright/discount-2"
    assert again[0] == asked[0] * 2
    assert again[1] == ["gpt-6-luna"]
    assert again[2] == asked[2]


def test_a_stage_without_timeout_and_a_misspelt_key_are_named_and_nothing_is_called(world: World) -> None:
    with cast(TEAM) as servers:
        with_timeout = f"    vendor: anthropic\n    model: {PLANNER}\n    timeout: 120s\n"
        text = servers.config().replace(with_timeout, with_timeout.replace("    timeout: 120s\n", ""), 1)
        head, _, tail = text.partition("  reviewer:")
        world.config.write_text(f"{head}  reviewer:{tail.replace('retry_budget', 'retry_bugdet', 1)}")
        checked = world.run("check", world.ticket(), "--config", str(world.config))
        document = world.document("run", world.ticket(), "--config", str(world.config))
        assert servers.calls == []
    assert checked.returncode == document["exit_code"] == 3
    said = checked.stdout + checked.stderr
    missing = next(line for line in said.splitlines() if "stages.planner" in line and "timeout" in line)
    assert f"{world.config}:" in missing
    misspelt = next(line for line in said.splitlines() if "retry_bugdet" in line)
    where = next(i for i, line in enumerate(world.config.read_text().splitlines(), 1) if "retry_bugdet" in line)
    assert f"{world.config}:{where}:" in misspelt
    assert "retry_budget" in misspelt
    assert document["run_id"] is None
    assert {problem["key"] for problem in document["problems"]} >= {"stages.planner.timeout"}
    assert not world.database.exists() or world.run("runs").stdout == ""


def test_a_config_found_in_the_repository_may_not_send_keys_elsewhere(world: World) -> None:
    with cast(TEAM) as servers:
        text = servers.config(vendors={"anthropic": {"base_url": "https://models.example.invalid"}})
        (world.repository / "pipeline.yaml").write_text(text)
        found = world.run("check", world.ticket())
        named = world.run("check", world.ticket(), "--config", "pipeline.yaml")
    assert found.returncode == 3
    assert "name it with --config if you trust it" in found.stdout + found.stderr
    assert named.returncode == 0, named.stdout + named.stderr


def test_an_unsolved_run_leaves_the_repository_byte_identical_and_keeps_its_patch(world: World) -> None:
    brains = TEAM | {
        CODER: project.coder(project.HALFWAY),
        STRONG_CODER: project.coder(project.WRONG, old=project.HALFWAY),
    }
    before = project.fingerprint(world.repository)
    with cast(brains) as servers:
        world.config.write_text(servers.config())
        document = world.document("run", world.ticket(), "--config", str(world.config), "--set", "stages.debugger=none")
    assert (document["status"], document["exit_code"]) == ("unsolved", 1)
    ended = world.events(document["run_id"])[-1]
    lines = world.config.read_text().splitlines()
    assert "retry_budget" in lines[int(ended["config_line"].split(":")[-2]) - 1], ended["config_line"]
    assert project.fingerprint(world.repository) == before
    assert project.WRONG.strip() in Path(document["patch_path"]).read_text()
    assert world.run("patch", document["run_id"]).stdout == Path(document["patch_path"]).read_text()
