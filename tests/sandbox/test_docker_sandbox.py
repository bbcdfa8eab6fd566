"""The Docker backend keeps the contract, in real containers."""

import pytest

from sandbox.docker import backend
from tests.sandbox.conformance import Opener, SandboxConformance
from tests.sandbox.trees import environment


@pytest.mark.docker
class TestDockerSandbox(SandboxConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        docker = backend()
        return lambda base: docker.open(environment(), base)
