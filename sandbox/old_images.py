"""Removes prepared images that have grown old; each costs the next run that wants it its setup again."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import docker.errors
from docker import DockerClient

from sandbox.engine import open_engine
from sandbox.setup_image import REPOSITORY

DAY_SECONDS = 86_400.0


async def remove_old_images(days: float, *, now: float, say: Callable[[str], None]) -> list[str]:
    """Remove every prepared image that was made more than `days` before `now` and that no container uses.

    Returns their names.
    :raises SandboxUnavailableError: the engine does not answer.
    """
    async with open_engine() as engine:
        rows: list[dict[str, Any]] = await engine.call(lambda client: client.api.images(name=REPOSITORY))
        old = [row for row in rows if now - made_at(row.get("Created")) > days * DAY_SECONDS]
        removed = []
        for name in [str(tag) for row in old for tag in row.get("RepoTags") or []]:
            if await engine.call(partial(_remove, name)):
                say(f"removed image {name}, made more than {days:g} days ago")
                removed.append(name)
            else:
                say(f"kept image {name}: a container uses it")
        return removed


def made_at(created: object) -> float:
    """Return when an image was made, as the engine lists it: seconds since the epoch, or a date."""
    if isinstance(created, int | float):
        return float(created)
    return datetime.fromisoformat(str(created)).timestamp()


def _remove(name: str, client: DockerClient) -> bool:
    try:
        client.api.remove_image(name)
    except docker.errors.ImageNotFound:
        return True
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        return False
    return True
