"""The same contract under gVisor's runsc, where the engine has it; where not, the run says so."""

import subprocess
import sys

import docker
import docker.errors
import pytest

from sandbox.base import BaseTree
from sandbox.docker import DockerBackend, backend
from tests.sandbox.conformance import Opener, SandboxConformance
from tests.sandbox.trees import environment


def missing() -> str | None:
    """Return why the suite cannot run here."""
    try:
        client = docker.from_env()
        try:
            runtimes = client.info().get("Runtimes", {})
        finally:
            client.close()
    except docker.errors.DockerException:
        return "Docker does not answer"
    return None if "runsc" in runtimes else f"this engine has no runtime `runsc`, only {', '.join(sorted(runtimes))}"


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_the_contract_holds_under_gvisor_where_the_engine_has_it() -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "runsc", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.docker
@pytest.mark.runsc
class TestGvisorSandbox(SandboxConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        docker_backend = backend()
        return lambda base: docker_backend.open(environment(runtime="runsc"), base)


@pytest.mark.docker
@pytest.mark.runsc
@pytest.mark.anyio
async def test_the_kernel_a_command_sees_is_gvisors(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with docker_backend.open(environment(runtime="runsc"), small_base) as sandbox:
        seen = await sandbox.exec(["dmesg"], timeout=30)
        ours = await sandbox.exec(["cat", "/proc/version"], timeout=30)
    assert b"gVisor" in seen.stdout + ours.stdout
