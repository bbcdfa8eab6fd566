"""The Docker engine as this package speaks to it: off the event loop, with errors in our words."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import docker
import docker.errors
import requests
from anyio import CapacityLimiter, to_thread
from docker import DockerClient

from sandbox.base import SandboxUnavailableError

Answer = TypeVar("Answer")
PARALLEL_CALLS = 4
PING_SECONDS = 10
ENGINE_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)
HOW_TO_START = (
    "Docker does not answer ({reason}). Start it (`systemctl start docker`, or Docker Desktop); "
    "in a checkout `bin/engine` starts or installs one on Debian. `docker info` must work for this user."
)


class Engine:
    """A Docker client whose calls run in worker threads, at most four at a time."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client
        self._limiter = CapacityLimiter(PARALLEL_CALLS)

    async def call(self, function: Callable[[DockerClient], Answer]) -> Answer:
        """Run `function` with the client in a worker thread; a cancelled caller still waits for it.

        :raises SandboxUnavailableError: the engine refused or does not answer.
        """
        try:
            return await to_thread.run_sync(function, self._client, limiter=self._limiter)
        except ENGINE_ERRORS as error:
            raise SandboxUnavailableError(describe(error)) from error


def describe(error: Exception) -> str:
    """Say what the engine said, or that there is none."""
    if isinstance(error, docker.errors.ImageNotFound):
        return f"the image is missing: {error.explanation}. `stagewright sandbox build` builds the default one."
    if isinstance(error, docker.errors.APIError):
        return f"Docker refused: {error.explanation or error}"
    return HOW_TO_START.format(reason=" ".join(str(error).split())[:200])


def _connect(request_seconds: float) -> DockerClient:
    return docker.from_env(timeout=int(max(1, request_seconds)))


@asynccontextmanager
async def open_engine(request_seconds: float = 60) -> AsyncIterator[Engine]:
    """Connect to the engine of the environment (`DOCKER_HOST`), with a time limit for each request.

    :raises SandboxUnavailableError: it does not answer.
    """
    try:
        client = await to_thread.run_sync(_connect, request_seconds)
    except ENGINE_ERRORS as error:
        raise SandboxUnavailableError(describe(error)) from error
    try:
        yield Engine(client)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(client.close)


async def engine_problem() -> str | None:
    """Return None when Docker answers, else a sentence that says what to type."""
    try:
        async with open_engine(PING_SECONDS) as engine:
            await engine.call(lambda client: client.ping())
    except SandboxUnavailableError as error:
        return str(error)
    return None
