"""Sandboxes in Docker containers: created, attached to and started in that order, and gone with their runner."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio import CancelScope, fail_after
from docker import DockerClient

from sandbox.attach import AttachWire
from sandbox.base import BaseTree, Environment, SandboxLostError, SandboxUnavailableError
from sandbox.channel import Channel, open_channel
from sandbox.container import parameters
from sandbox.egress import policy_of
from sandbox.egress_network import Network
from sandbox.engine import Engine, open_engine
from sandbox.hijack import attach
from sandbox.placement import Placement, place_work_tree, taken
from sandbox.reaper import owner_labels, remove_container, remove_orphans_with
from sandbox.resident import ResidentSandbox
from sandbox.setup_image import carried_bytes, carried_paths
from sandbox.way_out import way_out

HELLO_SECONDS = 60.0
NEEDS = "An image needs Python 3 and git; `stagewright sandbox build` builds stagewright/python, which has both."


class DockerBackend:
    """Opens sandboxes; the first one also removes what dead owners left."""

    def __init__(self, client_timeout: float, network: Network | None = None) -> None:
        self._client_timeout = client_timeout
        self._network = network
        self._swept = False

    @asynccontextmanager
    async def open(self, environment: Environment, base: BaseTree) -> AsyncIterator[ResidentSandbox]:
        """Start a container and fill its work tree; see `Backend.open`."""
        async with open_engine(self._client_timeout) as engine:
            labels: dict[str, str] = await engine.call(lambda client: client.images.get(environment.image).labels)
            placement = placed(environment, base, labels)
            settings = parameters(environment, {**owner_labels(""), **environment.labels}, "work", placement)
            async with running_container(engine, settings) as (identifier, channel):
                if not self._swept:
                    self._swept = True
                    await remove_orphans_with(engine, say=_quietly)
                carried, carried_from = carried_paths(labels)
                sandbox = ResidentSandbox(channel, identifier, base, carried=carried, carried_from=carried_from)
                await self._make_ready(sandbox, placement)
                async with way_out(sandbox, channel, policy_of(environment), self._network):
                    yield sandbox

    async def _make_ready(self, sandbox: ResidentSandbox, placement: Placement) -> None:
        sandbox.placement = placement
        await sandbox.populate()
        if placement.where == "disk":
            await sandbox.limit_work_tree(placement.limit)


def placed(environment: Environment, base: BaseTree, labels: Mapping[str, str]) -> Placement:
    """Return where the work tree of a base goes, with what setup left in an image of these labels."""
    tree = taken(base.size, carried_bytes(labels))
    return place_work_tree(tree, len(base.entries), disk=environment.disk, memory=environment.memory)


def _quietly(_line: str) -> None:
    """Say nothing: what a start cleans up is nobody's news."""


def backend(*, client_timeout: float = 60, network: Network | None = None) -> DockerBackend:
    """Return the backend; `client_timeout` is seconds per request to the engine. Nothing is contacted yet.

    `network` stands for this machine's where commands may reach hosts.
    """
    return DockerBackend(client_timeout, network)


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
