"""Runs a project's setup commands once and keeps the result as an image."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from docker import DockerClient
from docker.types import Mount

from sandbox.base import BaseTree, Environment, ExecResult, SandboxError, SandboxUnavailableError
from sandbox.container import parameters
from sandbox.docker import running_container
from sandbox.egress import open_egress, policy_for_setup
from sandbox.egress_log import EgressLog
from sandbox.engine import Engine, open_engine
from sandbox.package_indexes import PackageIndexes, certificate_bundle, package_indexes
from sandbox.reaper import owner_labels
from sandbox.recipe import HOME, WORKSPACE
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
from sandbox.single_maker import made_once
from sandbox.way_out import VARIABLES as PROXY_VARIABLES

Say = Callable[[str], None]
ENGINE_SECONDS = 600.0
HOUSEKEEPING_SECONDS = 300.0
# What another process may need beyond its commands' time before its image is there.
PATIENCE_SECONDS = 300.0
SHOWN_OUTPUT = 2_000
MOST_CARRIED = 2_000
EMPTIED = (WORKSPACE, "/tmp", HOME)  # noqa: S108 - the container's, not the host's
# argv: folder to carry to. stdin: the paths, each ended by a zero byte.
CARRY = """
import os, shutil, sys
for path in filter(None, sys.stdin.buffer.read().split(b"\\0")):
    path = path.rstrip(b"/")
    target = os.path.join(os.fsencode(sys.argv[1]), path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.move(path, target)
size = 0
for folder, folders, files in os.walk(os.fsencode(sys.argv[1])):
    size += sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in folders + files)
print(size)
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
# Some tools make their caches read-only, so a folder is opened before it is removed.
EMPTY_OUT = """
import os, shutil, sys
def gone(path):
    os.chmod(path, 0o700)
    for folder, inner, _ in os.walk(path):
        for name in inner:
            if not os.path.islink(os.path.join(folder, name)):
                os.chmod(os.path.join(folder, name), 0o700)
    shutil.rmtree(path)
for top in sys.argv[1:]:
    for entry in os.scandir(top):
        try:
            gone(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
        except OSError:
            pass  # somebody else's, from the image
"""


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
        tag = image_key(image_id, commands, lock_files, network=environment.network or environment.allowlist)
        name = f"{REPOSITORY}:{tag}"
        work = _Work(tuple(commands), timeout, tag, say)
        make = partial(_prepare, engine, environment, base, work)
        made = await made_once(engine, name, work.claim, make, seconds=timeout + PATIENCE_SECONDS, say=say)
        say(f"setup: {'kept' if made else 'cached'} as {name}")
        return name


class _Work:
    def __init__(self, commands: tuple[str, ...], seconds: float, tag: str, say: Say) -> None:
        self.commands = commands
        self.seconds = seconds
        self.tag = tag
        self.say = say
        self.claim = f"stagewright-setup-{tag}"
        self._ends_at = 0.0

    def begin(self) -> None:
        """Start the clock of the commands."""
        self._ends_at = anyio.current_time() + self.seconds

    def seconds_left(self) -> float:
        return max(0.1, self._ends_at - anyio.current_time())


async def _prepare(engine: Engine, environment: Environment, base: BaseTree, work: _Work) -> None:
    indexes, bundle = await to_thread.run_sync(_host_settings)
    settings = parameters(environment, {**owner_labels(""), **environment.labels}, "setup")
    settings["name"] = work.claim
    settings["mounts"] = [Mount(folder, folder, type="bind", read_only=True) for folder in indexes.folders]
    variables = {**indexes.variables, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if bundle is not None:
        variables.update(dict.fromkeys(BUNDLE_VARIABLES, BUNDLE))
    policy = policy_for_setup(environment, indexes)
    if policy is not None:
        variables.update(PROXY_VARIABLES)
    async with (
        running_container(engine, settings, first_files(bundle)) as (identifier, channel),
        open_egress(channel, policy) as egress,
    ):
        sandbox = ResidentSandbox(channel, identifier, base)
        await sandbox.populate()
        path = (await sandbox.exec(["printenv", "PATH"], timeout=HOUSEKEEPING_SECONDS)).stdout.decode().strip()
        variables.update({"PATH": f"{VENV}/bin:{path}", "VIRTUAL_ENV": VENV})
        await _make_venv(sandbox, work.say)
        work.begin()
        for command in work.commands:
            await _run(sandbox, command, variables, work, egress)
        for row in egress.passages():
            work.say(f"setup: {row.line()}")
        carried, size = await _carry(sandbox)
        await sandbox.exec(["python3", "-I", "-c", EMPTY_OUT, *EMPTIED], timeout=HOUSEKEEPING_SECONDS)
        changes = commit_changes(path, carried, size)
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
    sandbox: ResidentSandbox, command: str, variables: Mapping[str, str], work: _Work, egress: EgressLog
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
    online = "HTTPS_PROXY" in variables
    hint = "" if online else " The network is off during setup; `sandbox.network: setup` turns it on."
    refused = "".join(f"\nnetwork: {row.line()}" for row in egress.passages() if row.refused is not None)
    raise SetupFailedError(f"setup command `{command}` failed: {how}.{hint}{refused}\n{_last_words(result)}")


async def _carry(sandbox: ResidentSandbox) -> tuple[list[str], int]:
    """Move what setup left in the work tree to where every later work tree gets it from; return paths and size."""
    leftovers = await sandbox.leftovers()
    if len(leftovers) > MOST_CARRIED:
        raise SetupFailedError(f"setup left {len(leftovers)} new paths in the work tree; at most {MOST_CARRIED}")
    paths = "\0".join(leftovers).encode("utf-8", "surrogateescape")
    result = await sandbox.exec(
        ["python3", "-I", "-c", CARRY, CARRIED_FOLDER], timeout=HOUSEKEEPING_SECONDS, stdin=paths
    )
    if result.exit_code != 0:
        raise SandboxError(f"what setup left could not be kept: {_last_words(result)}")
    size = result.stdout.decode(errors="replace").strip()
    return leftovers, int(size) if size.isascii() and size.isdecimal() else 0


def _commit(client: DockerClient, identifier: str, tag: str, changes: Sequence[str]) -> None:
    client.api.commit(identifier, repository=REPOSITORY, tag=tag, changes=list(changes))


def _last_words(result: ExecResult) -> str:
    return (result.stdout + result.stderr).decode(errors="replace").strip()[-SHOWN_OUTPUT:]
