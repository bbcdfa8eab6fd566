"""Before a run it is known where its work tree will live, and whether the engine has the runtime."""

from pathlib import Path

import pytest

from pipeline.config.settings import SandboxSettings
from pipeline.git.base import measure_tree, read_base
from pipeline.git.command import Git
from pipeline.preflight.request import Surroundings
from pipeline.preflight.runtime import look_at_runtime
from pipeline.preflight.work_tree import work_tree_note
from tests.sandbox.trees import git, make_repository

MIB = 1 << 20


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    folder = make_repository(tmp_path / "repository", {"a": b"a" * 5000, "deep/b": b"b"})
    return Surroundings(repository=folder, base=git(folder, "rev-parse", "HEAD").decode().strip())


def test_the_tree_is_measured_the_same_before_a_run_and_in_it(around: Surroundings) -> None:
    assert around.repository is not None
    assert around.base is not None
    host = Git(around.repository)
    assert measure_tree(host, around.base) == (8192 + 4096, 2)
    assert read_base(host, around.base).size == 8192 + 4096


def test_a_small_tree_is_said_to_live_in_memory(around: Surroundings) -> None:
    (line,) = work_tree_note(around, SandboxSettings())
    assert line.startswith("work tree in memory: 0.0234 MiB of 2 GiB")


def test_a_disk_larger_than_memory_is_said_to_mean_a_volume(around: Surroundings) -> None:
    (line,) = work_tree_note(around, SandboxSettings(disk=20 << 30))
    assert line.startswith("work tree on a disk volume: sandbox.disk (20 GiB) + 1 GiB is more than sandbox.memory")


def test_nothing_is_said_of_a_tree_that_is_not_known() -> None:
    assert work_tree_note(Surroundings(), SandboxSettings()) == ()


@pytest.mark.docker
@pytest.mark.anyio
async def test_a_runtime_the_engine_has_is_no_problem() -> None:
    assert await look_at_runtime(SandboxSettings(runtime="runc"), None) == ()
    assert await look_at_runtime(SandboxSettings(), None) == ()


@pytest.mark.docker
@pytest.mark.anyio
async def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SandboxSettings().model_copy(update={"runtime": "runno"})
    found = await look_at_runtime(settings, None)
    (line,) = [each.line_text() for each in found]
    assert "the engine has no runtime `runno`; it has" in line
    assert "runc" in line
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert await look_at_runtime(SandboxSettings(runtime="runsc"), None) == ()
