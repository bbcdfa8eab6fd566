from collections.abc import AsyncIterator

import pytest

from sandbox.base import BaseTree
from tests.fakes.directory_sandbox import DirectorySandbox, directory_sandbox
from tests.sandbox.trees import make_base
from tests.stages.setting import FILES


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseTree:
    return make_base(tmp_path_factory.mktemp("repository"), FILES)


@pytest.fixture
async def tree(base: BaseTree) -> AsyncIterator[DirectorySandbox]:
    async with directory_sandbox(base) as sandbox:
        yield sandbox
