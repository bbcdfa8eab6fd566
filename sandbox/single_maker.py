"""Lets one maker at a time work on an image: the name of its container is the claim, and dies with it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import docker.errors
from anyio import fail_after
from docker import DockerClient

from sandbox.base import SandboxUnavailableError
from sandbox.engine import Engine
from sandbox.reaper import remove_orphans_with

Say = Callable[[str], None]
LOOK_AGAIN_SECONDS = 0.25
LOOKS_BETWEEN_SWEEPS = 20
CONFLICT = 409


async def made_once(
    engine: Engine, image: str, claim: str, make: Callable[[], Awaitable[None]], *, seconds: float, say: Say
) -> bool:
    """See to it that `image` is there; return whether this call made it.

    `make` starts by creating a container named `claim`. Where somebody else holds that name, wait for theirs to go,
    `seconds` at most, and then look again: what they made is as good, and if they failed it is this caller's turn.
    :raises SandboxUnavailableError: `make` failed, or the other one takes too long.
    """
    while not await engine.call(lambda client: image_is_here(client, image)):
        if await engine.call(lambda client: _is_free(client, claim)):
            if await _made(claim, make):
                return True
            continue
        say(f"waiting: another process is making {image} (container {claim})")
        try:
            with fail_after(seconds):
                await _wait(engine, claim, say)
        except TimeoutError as error:
            raise SandboxUnavailableError(
                f"another process has been making {image} for more than {seconds:.0f} s in the container {claim}; "
                f"if it hangs, type `docker rm -f {claim}`"
            ) from error
    return False


def image_is_here(client: DockerClient, name: str) -> bool:
    """Say whether the engine has an image of that name."""
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


async def _made(claim: str, make: Callable[[], Awaitable[None]]) -> bool:
    """Make it; return False when somebody else was first to claim it."""
    try:
        await make()
    except SandboxUnavailableError as error:
        cause = error.__cause__
        if isinstance(cause, docker.errors.APIError) and cause.status_code == CONFLICT and claim in str(cause):
            return False
        raise
    return True


async def _wait(engine: Engine, claim: str, say: Say) -> None:
    looks = 0
    while not await engine.call(lambda client: _is_free(client, claim)):
        if looks % LOOKS_BETWEEN_SWEEPS == 0:
            with suppress(SandboxUnavailableError):  # somebody else may be removing the same one
                await remove_orphans_with(engine, say=say)
        looks += 1
        await anyio.sleep(LOOK_AGAIN_SECONDS)


def _is_free(client: DockerClient, claim: str) -> bool:
    try:
        client.api.inspect_container(claim)
    except docker.errors.NotFound:
        return True
    return False
