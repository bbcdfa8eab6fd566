"""Sandboxes in Docker containers: created, attached to and started in that order, and gone with their runner."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CancelScope, fail_after
from docker import DockerClient

from sandbox.attach import AttachWire
from sandbox.base import BaseTree, Environment, SandboxLostError, SandboxUnavailableError
from sandbox.channel import Channel, open_channel
from sandbox.container import parameters
from sandbox.engine import Engine, open_engine
from sandbox.hijack import attach
from sandbox.reaper import owner_labels, remove_container, remove_orphans_with
from sandbox.resident import ResidentSandbox
from sandbox.setup_image import carried_paths

HELLO_SECONDS = 60.0
NEEDS = "An image needs Python 3 and git; `stagewright sandbox build` builds stagewright/python, which has both."


class DockerBackend:
    """Opens sandboxes; the first one also removes what dead owners left."""

    def __init__(self, client_timeout: float) -> None:
        self._client_timeout = client_timeout
        self._swept = False

    @asynccontextmanager
    async def open(self, environment: Environment, base: BaseTree) -> AsyncIterator[ResidentSandbox]:
        """Start a container and fill its work tree; see `Backend.open`."""
        settings = parameters(environment, {**owner_labels(""), **environment.labels})
        async with (
            open_engine(self._client_timeout) as engine,
            running_container(engine, settings) as (identifier, channel),
        ):
            if not self._swept:
                self._swept = True
                await remove_orphans_with(engine, say=_quietly)
            labels = await engine.call(lambda client: client.images.get(environment.image).labels)
            carried, carried_from = carried_paths(labels)
            sandbox = ResidentSandbox(channel, identifier, base, carried=carried, carried_from=carried_from)
            await sandbox.populate()
            yield sandbox


def _quietly(_line: str) -> None:
    """Say nothing: what a start cleans up is nobody's news."""


def backend(*, client_timeout: float = 60) -> DockerBackend:
    """Return the backend; `client_timeout` is seconds per request to the engine. Nothing is contacted yet."""
    return DockerBackend(client_timeout)


@asynccontextmanager
async def running_container(
    engine: Engine, settings: dict[str, Any], files: bytes | None = None
) -> AsyncIterator[tuple[str, Channel]]:
    """Run a container with its agent for the length of the context; yields its id and the channel.

    `settings` are those of sandbox.container; `files`, a tar, is unpacked at the root before the start.
    :raises SandboxUnavailableError: it could not be started, or its image cannot run the agent.
    """
    created: list[str] = []
    try:
        # Noted inside the worker thread: a cancelled caller never sees the return value.
        await engine.call(lambda client: created.append(_create(client, settings, files)))
        # Attached before the start, so that not a byte is lost.
        wire = AttachWire(await attach(engine.endpoint, engine.version, created[0]))
        try:
            await _start(engine, created[0])
            async with open_channel(wire) as channel:
                await _greet(channel, settings["image"])
                yield created[0], channel
        finally:
            await wire.close()
    finally:
        with CancelScope(shield=True):
            for identifier in created:
                await remove_container(engine, identifier)


def _create(client: DockerClient, settings: dict[str, Any], files: bytes | None) -> str:
    # `containers.create` of the SDK never pulls; `run` would.
    container = client.containers.create(**settings)
    if files is not None:
        container.put_archive("/", files)
    return str(container.id)


async def _start(engine: Engine, identifier: str) -> None:
    try:
        await engine.call(lambda client: client.api.start(identifier))
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(f"{error}. {NEEDS}") from error


async def _greet(channel: Channel, image: str) -> None:
    try:
        with fail_after(HELLO_SECONDS):
            hello = await channel.hello()
    except TimeoutError as error:
        raise SandboxUnavailableError(f"the agent in {image} did not start within {HELLO_SECONDS:.0f} s") from error
    except SandboxLostError as error:
        raise SandboxUnavailableError(f"the agent could not start in {image}: {error}. {NEEDS}") from error
    if not hello.git:
        raise SandboxUnavailableError(f"git is missing in {image}. {NEEDS}")
