"""What the Docker tests of this folder share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker import DockerClient

from sandbox.base import BaseTree
from sandbox.docker import DockerBackend, backend
from tests.sandbox.trees import make_base


@pytest.fixture
def engine() -> Iterator[DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def containers(engine: DockerClient) -> Callable[[str], list[str]]:
    """Return a function that lists the containers of a run, started or not."""

    def of_run(run_id: str) -> list[str]:
        found = engine.api.containers(all=True, filters={"label": f"stagewright.run={run_id}"})
        return [str(row["Id"]) for row in found]

    return of_run


@pytest.fixture
def docker_backend() -> DockerBackend:
    return backend()


@pytest.fixture
def small_base(tmp_path: Path) -> BaseTree:
    return make_base(tmp_path / "small", {"a.txt": b"a\n"})
