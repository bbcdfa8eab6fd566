"""The user's whole repository is byte-identical after every ending but `solved`, which adds its branch alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.config.settings import CheckSettings, Limits
from pipeline.errors import EXIT_CODES, Status
from pipeline.events import RunEnded
from pipeline.git.command import Git
from pipeline.running.run import Run
from pipeline.running.runner import drive
from tests.e2e import project
from tests.loopback import Brain, Conversation, Say, always
from tests.runner.scenario import Scenario, settings, stage

ROOT = Path(__file__).resolve().parents[2]
QUESTION = Say(calls=[("request_clarification", {"question": "Round how?", "options": []})])
BUSY = Say(status=429, headers={"retry-after": "90000"})
TEAM: Mapping[str, Brain] = {"planner": project.planner(), "coder": project.coder(), "strong": project.coder()}


@dataclass(frozen=True)
class Ending:
    """How a run comes to an ending: what its models say and what is configured."""

    status: Status
    brains: Mapping[str, Brain] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


def exhausted() -> Mapping[str, Any]:
    return {"coder": stage("coder", "coder", retries=0)}


ENDINGS = (
    Ending("unsolved", {"coder": project.coder(project.WRONG)}, exhausted()),
    Ending("needs_human", {"planner": always(QUESTION)}),
    Ending("budget_stop", {}, {"limits": Limits(tokens=6_500, wall_clock=300.0)}),
    Ending("timed_out", {"coder": always(Say(fault="hang"))}, {"limits": Limits(tokens=1_000_000, wall_clock=2.0)}),
    Ending("infrastructure", {}, {"checks": (CheckSettings(name="lint", run="exit 1", timeout=10.0),)}),
    Ending("parked", {"coder": always(BUSY)}),
)


def states(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return mode, size, modification time and content of everything below a folder, `.git` and itself included."""
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        state = path.lstat()
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (state.st_mode, state.st_size, state.st_mtime_ns, content)
    return found


def lived_in(repository: Path) -> Path:
    """Make a checkout that somebody works in: dirty, with hooks, a stash, other branches, odd settings and a link."""
    (repository / "shop/price.py").write_text(project.MODULE + "\n# dirty\n")
    (repository / "untracked.txt").write_text("mine\n")
    (repository / "link").symlink_to("/etc/hostname")
    project.git(repository, "stash", "push", "-q", "shop/price.py")
    project.git(repository, "branch", "feature")
    project.git(repository, "tag", "-m", "v1", "v1")
    project.git(repository, "config", "core.logAllRefUpdates", "always")
    project.git(repository, "config", "core.fsmonitor", "false")
    project.git(repository, "config", "core.untrackedCache", "true")
    hook = repository / ".git/hooks/reference-transaction"
    hook.write_text("#!/bin/sh\ntouch fired\n")
    hook.chmod(0o755)
    (repository / "shop/price.py").write_text(project.MODULE + "\n# dirty again\n")
    return repository


def scenario(folder: Path, brains: Mapping[str, Brain], **changes: Any) -> Scenario:
    made = Scenario(folder, {**TEAM, **brains}, settings(**changes))
    lived_in(made.repository)
    return made


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.status)
def test_an_ending_without_a_branch_leaves_every_byte(ending: Ending, tmp_path: Path) -> None:
    run = scenario(tmp_path, ending.brains, **ending.changes)
    before = states(run.repository)
    ended = run.run()
    run.store.close()
    assert ended.status == ending.status, ended.reason
    assert states(run.repository) == before


def test_a_cancelled_run_leaves_every_byte(tmp_path: Path) -> None:
    at_work: list[anyio.Event] = []

    def hangs(_: Conversation) -> Say:
        at_work[0].set()
        return Say(fault="hang")

    async def cancelled(started: Run) -> RunEnded:
        at_work.append(anyio.Event())
        async with anyio.create_task_group() as group:
            group.start_soon(drive, started)
            await at_work[0].wait()
            group.cancel_scope.cancel()
        assert started.state.ended is not None
        return started.state.ended

    run = scenario(tmp_path, {"coder": hangs})
    before = states(run.repository)
    run.drives = cancelled
    assert run.run().status == "cancelled"
    run.store.close()
    assert states(run.repository) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.e2e import project
from tests.loopback import Say
from tests.runner.scenario import Scenario, settings
from tests.runner.test_endings_leave_the_repository import TEAM

def dies(conversation):
    if conversation.turn == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return TEAM["coder"](conversation)

Scenario(Path(sys.argv[1]), {**TEAM, "coder": dies}, settings()).run()
"""


def test_a_killed_run_leaves_every_byte(tmp_path: Path) -> None:
    kept = scenario(tmp_path, {})
    before = states(kept.repository)
    kept.store.close()
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (tmp_path / "state/runs").is_dir(), "the run had begun"
    assert states(kept.repository) == before


def test_a_refused_run_leaves_every_byte(tmp_path: Path) -> None:
    repository = lived_in(project.make_repository(tmp_path / "shop"))
    (repository / "pipeline.yaml").write_text("limits: {tokens: 1}\n")
    before = states(repository)
    words = ["run", "discount.md", "--state-dir", str(tmp_path / "state")]
    stagewright = Path(sys.executable).with_name("stagewright")
    done = subprocess.run([stagewright, *words], cwd=repository, capture_output=True, check=False, timeout=60)
    assert done.returncode == EXIT_CODES["refused"], done.stderr.decode()
    assert states(repository) == before


def test_every_ending_is_covered() -> None:
    covered = {ending.status for ending in ENDINGS} | {"solved", "cancelled", "refused"}
    assert covered == set(EXIT_CODES)


def test_solved_adds_its_branch_and_that_branchs_objects_and_nothing_else(tmp_path: Path) -> None:
    run = scenario(tmp_path, {})
    before = states(run.repository)
    ended = run.run()
    run.store.close()
    assert ended.status == "solved", ended.reason
    after = states(run.repository)
    added = sorted(after.keys() - before.keys())
    packs = [path for path in added if path.startswith(".git/objects/pack/")]
    assert [path for path in added if path not in packs] == [
        ".git/refs/heads/stagewright",
        ".git/refs/heads/stagewright/discount",
    ]
    assert sorted(Path(path).suffix for path in packs) == [".idx", ".pack"]
    assert before.keys() <= after.keys()
    # Folders have a new modification time because something was added to them; no file was touched.
    touched = {path for path in before if after[path] != before[path]}
    assert touched == {".git/refs/heads", ".git/objects/pack"}
    assert objects_in(run.repository, packs) == objects_of_branch(run.repository, ended.commit or "")


def objects_in(repository: Path, packs: list[str]) -> set[str]:
    index = next(path for path in packs if path.endswith(".idx"))
    listing = project.git(repository, "verify-pack", "-v", index)
    return {line.split()[0] for line in listing.splitlines() if line[40:41] == " "}


def objects_of_branch(repository: Path, commit: str) -> set[str]:
    new = Git(repository).run("rev-list", "--objects", "--no-object-names", commit, f"^{commit}^").decode().split()
    assert len(new) > 3
    return set(new)
