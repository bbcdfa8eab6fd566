"""The fake keeps the contract it stands in for."""

import pytest

from tests.fakes.directory_sandbox import directory_sandbox
from tests.sandbox.conformance import Opener, SandboxConformance


class TestDirectorySandbox(SandboxConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        return directory_sandbox
