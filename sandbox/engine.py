"""The Docker engine as this package speaks to it: off the event loop, with errors in our words."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import docker.errors
import requests
from anyio import CapacityLimiter, to_thread
from docker import DockerClient

from sandbox.base import SandboxUnavailableError
from sandbox.connection import connect, negotiated_version
from sandbox.endpoint import Endpoint, find_endpoint

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

    def __init__(self, client: DockerClient, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.version = str(client.api.api_version)
        self._client = client
        self._limiter = CapacityLimiter(PARALLEL_CALLS)

    async def call(self, function: Callable[[DockerClient], Answer], *, abandon: bool = False) -> Answer:
        """Run `function` with the client in a worker thread; a cancelled caller still waits for it.

        With `abandon` it does not: the caller has its own way to end `function`.

        :raises SandboxUnavailableError: the engine refused or does not answer.
        """
        try:
            return await to_thread.run_sync(function, self._client, limiter=self._limiter, abandon_on_cancel=abandon)
        except ENGINE_ERRORS as error:
            raise SandboxUnavailableError(describe(error, self.endpoint)) from error


def describe(error: Exception, endpoint: Endpoint | None = None) -> str:
    """Say what the engine said, or that there is none."""
    if isinstance(error, docker.errors.ImageNotFound):
        return f"the image is missing: {error.explanation}. `stagewright sandbox build` builds the default one."
    if isinstance(error, docker.errors.APIError):
        return f"Docker refused: {error.explanation or error}"
    where = f"{endpoint.url}, {endpoint.why}: " if endpoint else ""
    return HOW_TO_START.format(reason=where + " ".join(str(error).split())[:200])


def this_endpoint() -> Endpoint:
    """Return the engine this process's user means.

    :raises SandboxUnavailableError: it is of a kind that is not supported.
    """
    return find_endpoint(os.environ, Path.home())


def _open(endpoint: Endpoint, request_seconds: float) -> DockerClient:
    return connect(endpoint, negotiated_version(endpoint, min(request_seconds, PING_SECONDS)), request_seconds)


@asynccontextmanager
async def open_engine(request_seconds: float = 60) -> AsyncIterator[Engine]:
    """Connect to the engine this user means, with a time limit for each request.

    :raises SandboxUnavailableError: it does not answer, or is too old or too new.
    """
    endpoint = this_endpoint()
    try:
        client = await to_thread.run_sync(_open, endpoint, max(1.0, request_seconds))
    except ENGINE_ERRORS as error:
        raise SandboxUnavailableError(describe(error, endpoint)) from error
    try:
        yield Engine(client, endpoint)
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
