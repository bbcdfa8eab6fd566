"""An engine that ends underneath: the sandbox is lost at once, nothing is left, and a run goes on when it is back."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from pipeline.config.settings import CheckSettings, SandboxSettings
from pipeline.events import AttemptEnded, SandboxLost
from sandbox.base import BaseTree, SandboxLostError
from sandbox.docker import DockerBackend, backend
from tests.e2e import project
from tests.loopback import Conversation, Say
from tests.runner.scenario import Scenario, audited, settings
from tests.sandbox.private_engine import PrivateEngine, containers, missing, private_engine, wait_until_removed
from tests.sandbox.trees import MIB, environment

pytestmark = [pytest.mark.docker, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    with private_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def engine(running: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> PrivateEngine:
    monkeypatch.setenv("DOCKER_HOST", running.address)
    return running


@pytest.mark.anyio
@pytest.mark.parametrize("signal", ["TERM", "KILL"])
async def test_an_engine_that_ends_is_a_lost_sandbox_and_leaves_nothing(
    engine: PrivateEngine, small_base: BaseTree, signal: str
) -> None:
    docker: DockerBackend = backend()
    async with docker.open(environment(), small_base) as sandbox:
        assert containers(engine) == [sandbox.container_id]
        async with anyio.create_task_group() as tasks:

            async def wait_for_the_loss() -> None:
                with anyio.fail_after(20), pytest.raises(SandboxLostError):
                    await sandbox.exec(["sh", "-c", "touch begun; sleep 1000"], timeout=1000)

            tasks.start_soon(wait_for_the_loss)
            await sandbox.exec(["sh", "-c", "until [ -e begun ]; do :; done"], timeout=30)
            await anyio.to_thread.run_sync(engine.end, signal)
        await anyio.to_thread.run_sync(engine.start)
    await anyio.to_thread.run_sync(lambda: wait_until_removed(engine, sandbox.container_id, seconds=20))
    assert containers(engine) == []


def test_a_run_waits_for_its_engine_and_goes_on(engine: PrivateEngine, tmp_path: Path) -> None:
    ended: list[str] = []

    def coder(conversation: Conversation) -> Say:
        if conversation.turn == 1 and not ended:
            engine.end("TERM")
            ended.append("TERM")
        working = project.coder()(conversation)
        ran = {"command": "grep -c discount_is_applied tests/test_discount.py", "timeout": None}
        return Say(calls=[("run", ran)]) if conversation.turn == 1 else working

    async def start_instead_of_sleeping(_: float) -> None:
        # Asked to wait for the engine, which is down: the proof that the run met it so.
        ended.append("waited")
        await anyio.to_thread.run_sync(engine.start)

    check = CheckSettings(name="there", run="test -e shop/price.py", timeout=30.0)
    changes = settings(
        checks=(check,), sandbox=SandboxSettings(image="stagewright/python", memory=1280 * MIB, disk=256 * MIB)
    )
    run = Scenario(tmp_path, {"planner": project.planner(), "coder": coder}, changes, backend=backend())
    run.sleep = start_instead_of_sleeping
    try:
        result = run.run()
        assert result.status == "solved", result.reason
        audited(run)
    finally:
        run.store.close()
    assert ended == ["TERM", "waited"]
    assert [event.purpose for event in run.events if isinstance(event, SandboxLost)] == ["coder apply-discount"]
    attempts = [event for event in run.events if isinstance(event, AttemptEnded) and event.stage == "coder"]
    assert [attempt.outcome for attempt in attempts] == ["passed"]
    assert containers(engine) == []
