"""Caps, crashes and interruptions: what is spent, what is kept, and how a run goes on."""

import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stages.model import Usage
from tests.e2e import project
from tests.e2e.test_whole_run import TEAM
from tests.e2e.vendors import CODER, KEYS, PLANNER, cast
from tests.e2e.world import World, make_world
from tests.loopback import Brain, Say

pytestmark = pytest.mark.docker


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.keys = dict(KEYS)
    return made


def balances(world: World) -> list[tuple[str, int, int, int]]:
    with closing(sqlite3.connect(world.database)) as database:
        return database.execute("SELECT scope, cap, held, spent FROM budget").fetchall()


def containers(run_id: str | None = None) -> list[str]:
    wanted = ["--filter", f"label=stagewright.run={run_id}"] if run_id else ["--filter", "label=stagewright.run"]
    done = subprocess.run(["docker", "ps", "-aq", *wanted], capture_output=True, text=True, check=True)
    return done.stdout.split()


def _dear(brain: Brain) -> Brain:
    """The same words, at 12,000 tokens a call."""
    return lambda conversation: replace(brain(conversation), usage=Usage(input=10_000, output=2_000))


ELSEWHERE = "gpt-6-luna"
DEAR_TEAM = TEAM | {CODER: _dear(project.coder())}


def test_a_cap_too_small_stops_the_run_keeps_the_patch_and_resume_finishes(world: World) -> None:
    with cast(DEAR_TEAM) as servers:
        world.config.write_text(servers.config())
        document = world.document("run", world.ticket(), "--config", str(world.config), "--set", "limits.tokens=40000")
        assert (document["status"], document["exit_code"]) == ("budget_stop", 5), document
        assert document["usage"]["counted"] <= 40_000
        assert all(held + spent <= cap for _, cap, held, spent in balances(world))
        _never_above_the_cap(world, document["run_id"], 40_000)
        assert "limits.tokens=" in document["resume"]
        again = world.document("resume", document["run_id"], "--set", "limits.tokens=600000")
    assert again["status"] == "solved", again
    assert again["run_id"] == document["run_id"]
    assert again["usage"]["counted"] > document["usage"]["counted"]


def _never_above_the_cap(world: World, run_id: str, cap: int) -> None:
    held: dict[str, int] = {}
    spent = 0
    for event in world.events(run_id):
        if event["kind"] == "call.reserved":
            held[event["key"]] = event["tokens"]
        elif event["kind"] in ("call.settled", "call.refused"):
            held.pop(event["key"])
            spent += event["tokens"] if event["kind"] == "call.settled" else 0
        assert spent + sum(held.values()) <= cap, event


def test_the_partial_patch_of_a_budget_stop_is_kept_and_printed(world: World) -> None:
    with cast(DEAR_TEAM) as servers:
        world.config.write_text(servers.config())
        document = world.document(
            "run", world.ticket(), "--config", str(world.config), "--set", "stages.coder.tokens=30000"
        )
    assert document["status"] == "budget_stop"
    patch = world.run("patch", document["run_id"]).stdout
    assert project.RIGHT.strip() in patch
    assert patch == Path(document["patch_path"]).read_text()


def _hanging_coder() -> Brain:
    working = project.coder()
    return lambda conversation: working(conversation) if conversation.turn < 2 else Say(fault="hang")


def _until(process: "subprocess.Popen[str]", wanted: str) -> str:
    """Read the event stream until the wanted thing happened and return the run's id."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if wanted in line:
            run_id: str = event["run_id"]
            return run_id
    raise AssertionError(process.stderr.read() if process.stderr else "the stream ended")


def test_kill_9_leaves_no_container_and_an_untouched_repository_and_resume_goes_on(world: World) -> None:
    before = project.fingerprint(world.repository)
    with cast(TEAM | {CODER: _hanging_coder()}) as servers:
        world.config.write_text(servers.config())
        process = world.start("run", world.ticket(), "--config", str(world.config), "--events")
        run_id = _until(process, '"tool": "run"')
        assert containers(run_id)
        process.kill()
        process.communicate()
    gone = subprocess.run(
        [
            "timeout",
            "2",
            "sh",
            "-c",
            f'while [ -n "$(docker ps -aq --filter label=stagewright.run={run_id})" ]; do :; done',
        ],
        check=False,
    )
    assert gone.returncode == 0, "containers are left two seconds after kill -9"
    assert project.fingerprint(world.repository) == before
    with cast(TEAM) as servers:
        world.config.write_text(servers.config())
        document = world.document("resume", run_id, "--config", str(world.config))
        assert servers.anthropic.models.count("claude-opus-5-5") == 0, "the Planner was paid before the crash"
    assert document["status"] == "solved", document
    assert [attempt["outcome"] for attempt in document["stages"][1]["attempts"]] == ["stopped", "passed"]


def test_ctrl_c_ends_cleanly_and_prints_how_to_go_on(world: World) -> None:
    with cast(TEAM | {CODER: _hanging_coder()}) as servers:
        world.config.write_text(servers.config())
        process = world.start("run", world.ticket(), "--config", str(world.config), "--events")
        run_id = _until(process, '"tool": "run"')
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out.splitlines()[-1])["status"] == "cancelled"
    assert containers(run_id) == []
    assert f"stagewright resume {run_id}" in err + world.run("report", run_id).stdout
    assert project.RIGHT.strip() in world.run("patch", run_id).stdout


def test_the_wall_clock_of_the_run_bounds_everything(world: World) -> None:
    with cast(TEAM | {CODER: _hanging_coder()}) as servers:
        text = servers.config(limits={"wall_clock": "12s"}, planner={"timeout": "10s"}, coder={"timeout": "10s"},
                              debugger={"timeout": "10s"}, reviewer={"timeout": "10s"})  # fmt: skip
        world.config.write_text(text)
        document = world.document("run", world.ticket(), "--config", str(world.config))
    assert (document["status"], document["exit_code"]) == ("timed_out", 6)


def test_a_hanging_vendor_ends_with_the_stages_timeout(world: World) -> None:
    with cast(TEAM | {CODER: _hanging_coder()}) as servers:
        world.config.write_text(servers.config(coder={"timeout": "4s", "escalation": []}))
        document = world.document("run", world.ticket(), "--config", str(world.config), "--set", "stages.debugger=none")
    assert document["status"] == "unsolved"
    assert {attempt["outcome"] for attempt in document["stages"][1]["attempts"]} == {"timed_out"}


def test_a_vendor_that_names_a_time_beyond_the_deadline_parks_the_run(world: World) -> None:
    with cast(TEAM | {CODER: lambda _: Say(status=429, headers={"retry-after": "7200"})}) as servers:
        world.config.write_text(servers.config())
        document = world.document("run", world.ticket(), "--config", str(world.config))
    assert (document["status"], document["exit_code"]) == ("parked", 8), document
    assert document["resume_at"] is not None


def test_a_wrong_key_is_an_infrastructure_stop(world: World) -> None:
    world.keys["ANTHROPIC_API_KEY"] = "sk-wrong"
    with cast(TEAM) as servers:
        world.config.write_text(servers.config())
        document = world.document("run", world.ticket(), "--config", str(world.config))
    assert (document["status"], document["exit_code"]) == ("infrastructure", 7)
    assert "sk-wrong" not in json.dumps(document)


def _refused_once(brain: Brain, retry_after: int) -> Brain:
    """Refuse the first call, naming a time."""
    calls = iter([Say(status=429, headers={"retry-after": str(retry_after)})])
    return lambda conversation: next(calls, None) or brain(conversation)


def test_a_run_told_to_wait_sleeps_until_the_vendor_answers_again_and_goes_on(world: World) -> None:
    with cast(TEAM | {PLANNER: _refused_once(project.planner(), 9)}) as servers:
        world.config.write_text(servers.config(planner={"timeout": "8s"}))
        document = world.document("run", world.ticket(), "--config", str(world.config), "--wait")
    assert document["status"] == "solved", document
    kinds = [event["kind"] for event in world.events(document["run_id"])]
    assert kinds.count("run.resumed") == 1
    endings = [event for event in world.events(document["run_id"]) if event["kind"] == "run.ended"]
    assert [event["status"] for event in endings] == ["parked", "solved"]


def test_an_outage_of_one_vendor_hands_the_attempt_to_another(world: World) -> None:
    team = TEAM | {CODER: lambda _: Say(status=500), ELSEWHERE: project.coder()}
    with cast(team) as servers:
        fallback = [{"vendor": "openai", "model": ELSEWHERE}]
        world.config.write_text(servers.config(coder={"fallback": fallback, "escalation": []}))
        document = world.document("run", world.ticket(), "--config", str(world.config))
    assert document["status"] == "solved", document
    tried = [(a["number"], a["fallback"], a["vendor"], a["outcome"]) for a in document["stages"][1]["attempts"]]
    assert tried == [(1, 0, "anthropic", "stopped"), (1, 1, "openai", "passed")]
    assert f"openai/{ELSEWHERE}" in project.git(world.repository, "log", "-1", "--format=%B", document["branch"])
