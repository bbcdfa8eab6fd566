"""Whose a container is, and the removal of those whose owner is dead: of those only."""

import os
import platform
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import docker.errors
from docker import DockerClient

from sandbox.engine import Engine, open_engine

APP = {"app": "stagewright"}
PREFIX = "stagewright."


def owner_labels(run_id: str) -> dict[str, str]:
    """Return the labels that tie a container to this process: a process id alone may be used again."""
    pid = os.getpid()
    return {
        **APP,
        f"{PREFIX}run": run_id,
        f"{PREFIX}owner.pid": str(pid),
        f"{PREFIX}owner.start": process_start(pid) or "",
        f"{PREFIX}boot": boot_id(),
        f"{PREFIX}host": host_id(),
        f"{PREFIX}pids": pid_namespace(),
        f"{PREFIX}created": str(int(time.time())),
    }


def process_start(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot; None when there is no such process or no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def boot_id() -> str:
    """Return what changes with each boot of this machine, or nothing where the system does not tell."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""


def host_id() -> str:
    """Return what tells machines apart that share an engine."""
    parts = [socket.gethostname(), platform.system()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text(encoding="utf-8").strip()[:12])
    return "/".join(parts)


def pid_namespace() -> str:
    """Return the namespace process ids of this process mean something in."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def owner_is_dead(labels: Mapping[str, str]) -> bool:
    """Say whether the labels name an owner of this machine that is certainly gone; when in doubt it is not."""
    if labels.get(f"{PREFIX}host") != host_id():
        return False
    if labels.get(f"{PREFIX}boot") != boot_id():
        return True
    pid = labels.get(f"{PREFIX}owner.pid", "")
    if labels.get(f"{PREFIX}pids") != pid_namespace() or not pid.isdecimal() or int(pid) < 1:
        return False
    return not process_exists(int(pid)) or process_start(int(pid)) not in {labels.get(f"{PREFIX}owner.start"), None}


def process_exists(pid: int) -> bool:
    """Say whether a process of that id is there, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


async def remove_orphans(*, say: Callable[[str], None]) -> list[str]:
    """Remove every container and volume a dead owner left, started or not, and return their ids.

    :raises SandboxUnavailableError: the engine does not answer.
    """
    async with open_engine() as engine:
        return await remove_orphans_with(engine, say=say)


async def remove_orphans_with(engine: Engine, *, say: Callable[[str], None]) -> list[str]:
    """Do the same over a connection that is open already."""
    listed: list[dict[str, Any]] = await engine.call(
        lambda client: client.api.containers(all=True, filters={"label": "app=stagewright"})
    )
    orphans = [row for row in listed if owner_is_dead(row.get("Labels") or {})]
    for row in orphans:
        identifier = str(row["Id"])
        await remove_container(engine, identifier)
        run = row["Labels"].get(f"{PREFIX}run") or "no run"
        say(f"removed container {identifier[:12]} ({run}), left by a process that is gone")
    return [*(str(row["Id"]) for row in orphans), *await _remove_volumes(engine, say)]


async def _remove_volumes(engine: Engine, say: Callable[[str], None]) -> list[str]:
    """Remove what an engine that was killed itself kept of such containers' work trees."""
    listed: dict[str, Any] = await engine.call(lambda client: client.api.volumes(filters={"label": "app=stagewright"}))
    removed = []
    for row in listed.get("Volumes") or []:
        name = str(row["Name"])
        if owner_is_dead(row.get("Labels") or {}) and await engine.call(partial(_remove_volume, name)):
            say(f"removed volume {name[:12]}, left by a process that is gone")
            removed.append(name)
    return removed


def _remove_volume(name: str, client: DockerClient) -> bool:
    try:
        client.api.remove_volume(name)
    except docker.errors.APIError as error:
        # Gone already, or its container is just being removed and takes it along.
        if error.status_code not in {404, 409}:
            raise
        return False
    return True


async def remove_container(engine: Engine, identifier: str) -> None:
    """Remove a container whatever its state, and return when it is gone.

    :raises SandboxUnavailableError: the engine does not do it.
    """

    def remove(client: DockerClient) -> None:
        try:
            client.api.remove_container(identifier, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            # It removes itself when it ends; both removals at once is a conflict, not a failure.
            if error.status_code != 409:
                raise
            with suppress(docker.errors.NotFound):
                client.api.wait(identifier, timeout=30, condition="removed")

    await engine.call(remove)
