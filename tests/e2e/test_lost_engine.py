"""A machine that takes every container away: the installed command says so and ends with its exit code."""

import json
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.test_whole_run import TEAM
from tests.e2e.vendors import KEYS, cast
from tests.e2e.world import make_world

pytestmark = pytest.mark.docker


def take_away_every_container(run_id: str, over: threading.Event) -> None:
    """Remove each container of a run as soon as it is there."""
    listing = ["docker", "ps", "-aq", "--filter", f"label=stagewright.run={run_id}"]
    while not over.is_set():
        found = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()
        if found:
            subprocess.run(["docker", "rm", "-f", *found], capture_output=True, check=False)


def test_a_sandbox_lost_twice_before_its_first_call_ends_with_exit_code_7(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.keys = dict(KEYS)
    over = threading.Event()
    with cast(TEAM) as servers:
        world.config.write_text(servers.config())
        process = world.start("run", world.ticket(), "--config", str(world.config), "--events")
        assert process.stdout is not None
        run_id = json.loads(process.stdout.readline())["run_id"]
        saboteur = threading.Thread(target=take_away_every_container, args=(run_id, over))
        saboteur.start()
        try:
            out, err = process.communicate(timeout=60)
        finally:
            over.set()
            saboteur.join()
    assert process.returncode == 7, err
    ended = json.loads(out.splitlines()[-1])
    assert (ended["kind"], ended["status"]) == ("run.ended", "infrastructure")
    assert "sandbox" in ended["reason"]
    assert servers.calls == [], "nothing was paid"
