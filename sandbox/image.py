"""Builds our own sandbox images: from a pulled Debian image, else from Debian packages."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import anyio
import docker.errors
from docker import DockerClient

from sandbox.base import SandboxUnavailableError
from sandbox.engine import ENGINE_ERRORS, Engine, describe, open_engine
from sandbox.host_command import run_host_command
from sandbox.recipe import BASE_IMAGE, PYTHON, RECIPE_LABEL, Recipe

DEFAULT_IMAGE = PYTHON.name
REGISTRY_SECONDS = 8
BUILD_SECONDS = 900
Say = Callable[[str], None]


async def image_id(name: str) -> str | None:
    """Return the id of a local image, or None when there is none of that name.

    :raises SandboxUnavailableError: the engine does not answer.
    """
    async with open_engine() as engine:
        return await engine.call(lambda client: _find(client, name))


async def build_image(name: str, *, say: Say, force: bool = False, recipe: Recipe = PYTHON) -> str:
    """Build an image of ours under `name` unless it is there already, and return its id.

    :raises SandboxUnavailableError: neither a registry nor Debian packages can be used here.
    """
    async with open_engine(BUILD_SECONDS) as engine:
        present = await engine.call(lambda client: _current(client, name, recipe))
        if present and not force:
            say(f"{name} is built already ({short(present)})")
            return present
        if await _pull_base(say):
            try:
                return await _build_from_base(engine, name, recipe, say)
            except SandboxUnavailableError as error:
                say(f"building on {BASE_IMAGE} failed ({error}); trying Debian packages")
        return await _build_from_packages(engine, name, recipe, say)


def short(identifier: str) -> str:
    """Shorten an image id the way `docker images` does."""
    return identifier.removeprefix("sha256:")[:12]


def _find(client: DockerClient, name: str) -> str | None:
    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        return None


def _current(client: DockerClient, name: str, recipe: Recipe) -> str | None:
    try:
        image = client.images.get(name)
    except docker.errors.ImageNotFound:
        return None
    return str(image.id) if image.labels.get(RECIPE_LABEL) == recipe.identity() else None


async def _pull_base(say: Say) -> bool:
    async with open_engine(REGISTRY_SECONDS) as engine:
        if await engine.call(lambda client: _find(client, BASE_IMAGE)):
            say(f"{BASE_IMAGE} is here already")
            return True
        say(f"asking the registry for {BASE_IMAGE} (at most {REGISTRY_SECONDS} s)")
        try:
            await engine.call(lambda client: client.images.get_registry_data(BASE_IMAGE))
        except SandboxUnavailableError:
            say("no registry answers: building from Debian packages instead")
            return False
    async with open_engine(BUILD_SECONDS) as engine:
        say(f"pulling {BASE_IMAGE}")
        try:
            await engine.call(lambda client: client.images.pull(BASE_IMAGE))
        except SandboxUnavailableError as error:
            say(f"the pull failed ({error}): building from Debian packages instead")
            return False
    return True


async def _build_from_base(engine: Engine, name: str, recipe: Recipe, say: Say) -> str:
    say(f"building {name} on {BASE_IMAGE} (about a minute)")
    build_file = recipe.dockerfile().encode()
    await engine.call(lambda client: client.images.build(fileobj=BytesIO(build_file), tag=name, rm=True))
    return await _built(engine, name, say)


async def _build_from_packages(engine: Engine, name: str, recipe: Recipe, say: Say) -> str:
    if shutil.which("mmdebstrap") is None:
        await _install_mmdebstrap(say)
    suite, sources = await _debian_sources()
    with tempfile.TemporaryDirectory(prefix="stagewright-image-") as folder:
        # The unshare mode of mmdebstrap works under another user id, which has to reach the file.
        await anyio.Path(folder).chmod(0o755)
        target = Path(folder) / "root.tar"
        say(f"mmdebstrap {suite}: {recipe.contents} (about a minute)")
        await run_host_command(recipe.bootstrap_command(suite, sources, str(target)), timeout=BUILD_SECONDS)
        size = (await anyio.Path(target).stat()).st_size
        say(f"importing {size // 1_000_000} MB as {name}")
        await engine.call(lambda client: _import(client, target, name, recipe))
    return await _built(engine, name, say)


def _import(client: DockerClient, tar: Path, name: str, recipe: Recipe) -> None:
    changes = [f"{instruction} {value}" for instruction, value in recipe.settings().items()]
    repository, _, tag = name.partition(":")
    try:
        client.api.import_image_from_file(str(tar), repository=repository, tag=tag or "latest", changes=changes)
    except ENGINE_ERRORS as error:
        raise SandboxUnavailableError(f"the image could not be imported: {describe(error)}") from error


async def _built(engine: Engine, name: str, say: Say) -> str:
    built = await engine.call(lambda client: _find(client, name))
    if built is None:
        raise SandboxUnavailableError(f"{name} is not there after its build; `docker images` shows what is")
    say(f"{name} is ready ({short(built)})")
    return built


async def _install_mmdebstrap(say: Say) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SandboxUnavailableError(
            f"no registry answers and mmdebstrap is missing. Install it (`sudo apt-get install mmdebstrap`), "
            f"or make {BASE_IMAGE} available (`docker pull {BASE_IMAGE}`), then build again."
        )
    say("installing mmdebstrap (apt-get)")
    command = ["apt-get", "install", "-y", "--no-install-recommends", "mmdebstrap"]
    try:
        await run_host_command(command, timeout=BUILD_SECONDS)
    except SandboxUnavailableError:
        await run_host_command(["apt-get", "update"], timeout=BUILD_SECONDS)
        await run_host_command(command, timeout=BUILD_SECONDS)


async def _debian_sources() -> tuple[str, list[str]]:
    """Return the suite and the apt lines of this machine's own Debian mirror, none when it has no such."""
    release = platform.freedesktop_os_release() if await anyio.Path("/etc/os-release").exists() else {}
    suite = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not suite or shutil.which("apt-get") is None:
        return "stable", []
    shape = "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)"
    listing = await run_host_command(
        ["apt-get", "indextargets", "--format", shape, "Created-By: Packages"], timeout=BUILD_SECONDS
    )
    rows = [line.split(" ") for line in listing.decode(errors="replace").splitlines()]
    lines = [f"deb {row[0]} {row[1]} {row[2]}" for row in rows if len(row) == 4 and row[3] == "Debian"]
    return suite, lines if any(f" {suite} main" in line for line in lines) else []
