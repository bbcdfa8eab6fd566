"""Runs a project's setup commands once and keeps the result as an image."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import docker.errors
from anyio import to_thread
from docker import DockerClient
from docker.types import Mount

from sandbox.base import BaseTree, Environment, ExecResult, SandboxError, SandboxUnavailableError
from sandbox.container import parameters
from sandbox.docker import running_container
from sandbox.engine import Engine, open_engine
from sandbox.package_indexes import PackageIndexes, certificate_bundle, package_indexes
from sandbox.reaper import owner_labels
from sandbox.resident import ResidentSandbox
from sandbox.setup_image import (
    BUNDLE,
    BUNDLE_VARIABLES,
    CARRIED_FOLDER,
    REPOSITORY,
    VENV,
    commit_changes,
    first_files,
    image_key,
)

Say = Callable[[str], None]
ENGINE_SECONDS = 600.0
HOUSEKEEPING_SECONDS = 300.0
SHOWN_OUTPUT = 2_000
MOST_CARRIED = 2_000
# argv: folder to carry to. stdin: the paths, each ended by a zero byte.
CARRY = """
import os, shutil, sys
for path in filter(None, sys.stdin.buffer.read().split(b"\\0")):
    path = path.rstrip(b"/")
    target = os.path.join(os.fsencode(sys.argv[1]), path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.move(path, target)
"""
# The image's pip serves the environment too; a second one is unpacked only where there is none.
MAKE_VENV = f"""
python3 -m venv --system-site-packages --without-pip {VENV} || exit 1
{VENV}/bin/python -m pip --version > /dev/null 2>&1 || {VENV}/bin/python -m ensurepip > /dev/null 2>&1 || true
"""
# The image's own commands, such as pytest, name the image's Python in their first line and would not see the
# virtual environment. Each gets a twin there that does.
TWINS = """
import importlib.metadata, pathlib, sys
for found in importlib.metadata.distributions():
    for point in found.entry_points:
        script = pathlib.Path(sys.prefix, "bin", point.name)
        if point.group == "console_scripts" and not script.exists():
            module, _, function = point.value.partition("[")[0].strip().partition(":")
            script.write_text(
                f"#!{sys.executable}\\nimport sys\\nfrom {module} import {function.split('.')[0]}\\n"
                f"sys.exit({function}())\\n"
            )
            script.chmod(0o755)
"""
EMPTY_OUT = 'find /workspace /tmp "$HOME" -mindepth 1 -user "$(id -u)" -delete 2>/dev/null; true'


class SetupFailedError(SandboxUnavailableError):
    """A setup command of the project failed or took too long."""


async def prepared_image(
    environment: Environment,
    base: BaseTree,
    commands: Sequence[str],
    timeout: float,  # noqa: ASYNC109 - seconds for all commands together, enforced inside the container
    *,
    lock_files: Mapping[str, bytes],
    say: Say,
) -> str:
    """Return the name of the image that `commands` make of `environment.image`, from the cache when it is there.

    `environment.network` decides whether the commands may use the network. `lock_files` are the files that say
    what gets installed, by path: when one changes, setup runs again.
    :raises SetupFailedError: a command failed.
    :raises SandboxUnavailableError: Docker or the image is not there.
    """
    async with open_engine(ENGINE_SECONDS) as engine:
        image_id = await engine.call(lambda client: str(client.images.get(environment.image).id))
        tag = image_key(image_id, commands, lock_files, network=environment.network)
        name = f"{REPOSITORY}:{tag}"
        if await engine.call(lambda client: _exists(client, name)):
            say(f"setup: cached as {name}")
            return name
        await _prepare(engine, environment, base, _Work(tuple(commands), timeout, tag, say))
        say(f"setup: kept as {name}")
        return name


class _Work:
    def __init__(self, commands: tuple[str, ...], seconds: float, tag: str, say: Say) -> None:
        self.commands = commands
        self.ends_at = anyio.current_time() + seconds
        self.tag = tag
        self.say = say

    def seconds_left(self) -> float:
        return max(0.1, self.ends_at - anyio.current_time())


async def _prepare(engine: Engine, environment: Environment, base: BaseTree, work: _Work) -> None:
    indexes, bundle = await to_thread.run_sync(_host_settings)
    settings = parameters(environment, {**owner_labels(""), **environment.labels}, "setup")
    settings["mounts"] = [Mount(folder, folder, type="bind", read_only=True) for folder in indexes.folders]
    variables = {**indexes.variables, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if bundle is not None:
        variables.update(dict.fromkeys(BUNDLE_VARIABLES, BUNDLE))
    async with running_container(engine, settings, first_files(bundle)) as (identifier, channel):
        sandbox = ResidentSandbox(channel, identifier, base)
        await sandbox.populate()
        path = (await sandbox.exec(["printenv", "PATH"], timeout=HOUSEKEEPING_SECONDS)).stdout.decode().strip()
        variables.update({"PATH": f"{VENV}/bin:{path}", "VIRTUAL_ENV": VENV})
        await _make_venv(sandbox, work.say)
        for command in work.commands:
            await _run(sandbox, command, variables, work, online=environment.network)
        carried = await _carry(sandbox)
        await sandbox.exec(["sh", "-c", EMPTY_OUT], timeout=HOUSEKEEPING_SECONDS)
        changes = commit_changes(path, carried)
        await engine.call(lambda client: _commit(client, identifier, work.tag, changes))


def _host_settings() -> tuple[PackageIndexes, bytes | None]:
    indexes = package_indexes(os.environ, Path.home(), Path(sys.prefix))
    return indexes, certificate_bundle(os.environ)


async def _make_venv(sandbox: ResidentSandbox, say: Say) -> None:
    """Put a virtual environment first on PATH, one that sees the image's own packages."""
    result = await sandbox.exec(["sh", "-c", MAKE_VENV], timeout=HOUSEKEEPING_SECONDS, merge_output=True)
    if result.exit_code != 0:
        say(f"setup: the image cannot make a virtual environment ({_last_words(result)[-200:]}); going on without")
        return
    twins = await sandbox.exec([f"{VENV}/bin/python", "-c", TWINS], timeout=HOUSEKEEPING_SECONDS, merge_output=True)
    if twins.exit_code != 0:
        raise SandboxError(f"the virtual environment could not be completed: {_last_words(twins)}")


async def _run(
    sandbox: ResidentSandbox, command: str, variables: Mapping[str, str], work: _Work, *, online: bool
) -> None:
    work.say(f"setup: {command}")
    result = await sandbox.exec(["sh", "-c", command], timeout=work.seconds_left(), env=variables, merge_output=True)
    if result.exit_code == 0:
        return
    how = f"exit {result.exit_code}"
    if result.timed_out:
        how = "the time of sandbox.setup_timeout was used up"
    elif result.oom:
        how = "out of memory (sandbox.memory)"
    hint = "" if online else " The network is off during setup; `sandbox.network: setup` turns it on."
    raise SetupFailedError(f"setup command `{command}` failed: {how}.{hint}\n{_last_words(result)}")


async def _carry(sandbox: ResidentSandbox) -> list[str]:
    """Move what setup left in the work tree to where every later work tree gets it from."""
    leftovers = await sandbox.leftovers()
    if len(leftovers) > MOST_CARRIED:
        raise SetupFailedError(f"setup left {len(leftovers)} new paths in the work tree; at most {MOST_CARRIED}")
    paths = "\0".join(leftovers).encode("utf-8", "surrogateescape")
    result = await sandbox.exec(
        ["python3", "-I", "-c", CARRY, CARRIED_FOLDER], timeout=HOUSEKEEPING_SECONDS, stdin=paths
    )
    if result.exit_code != 0:
        raise SandboxError(f"what setup left could not be kept: {_last_words(result)}")
    return leftovers


def _exists(client: DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def _commit(client: DockerClient, identifier: str, tag: str, changes: Sequence[str]) -> None:
    client.api.commit(identifier, repository=REPOSITORY, tag=tag, changes=list(changes))


def _last_words(result: ExecResult) -> str:
    return (result.stdout + result.stderr).decode(errors="replace").strip()[-SHOWN_OUTPUT:]
