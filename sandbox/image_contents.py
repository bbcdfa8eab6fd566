"""Looks into an image without starting anything of it: which commands it has, and some of its files."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker.errors
from docker import DockerClient
from docker.models.containers import Container

from sandbox.reaper import owner_labels

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = ("python3", "git", "sh")
# How each package manager gets what is needed; the first that is there counts.
INSTALL_LINES = {
    "apt-get": "RUN apt-get update && apt-get install -y --no-install-recommends {packages}",
    "apk": "RUN apk add --no-cache {packages}",
    "dnf": "RUN dnf install -y {packages}",
    "microdnf": "RUN microdnf install -y {packages}",
    "yum": "RUN yum install -y {packages}",
    "zypper": "RUN zypper --non-interactive install {packages}",
}
PACKAGES = {"python3": "python3", "git": "git", "sh": "bash"}
LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Lack:
    """What of the least is missing in an image, and the line of a Dockerfile that brings it, where one is known."""

    commands: tuple[str, ...]
    line: str

    def sentence(self, image: str) -> str:
        """Say what is missing."""
        names = {"python3": "Python 3 (`python3`)", "git": "git", "sh": "a shell (`sh`)"}
        missing = " and ".join(names[command] for command in self.commands)
        return f"{missing} {'is' if len(self.commands) == 1 else 'are'} missing in the image {image}"

    def advice(self) -> str:
        """Say what to type."""
        if self.line:
            return f"add this line to its Dockerfile and build it again: `{self.line}`"
        return "it has no package manager that is known: build it on a base image that has Python 3 and git"


@contextmanager
def never_started(client: DockerClient, image: str, **settings: Any) -> Iterator[Container]:
    """Yield a container of the image that is not run, and remove it."""
    container = client.containers.create(
        image,
        entrypoint=["python3"],
        command=["-V"],
        network_mode="none",
        labels={**settings.pop("labels", {}), **owner_labels("")},
        **settings,
    )
    try:
        yield container
    finally:
        with suppress(docker.errors.NotFound):
            container.remove(v=True, force=True)


def lack_of(client: DockerClient, container: Container) -> Lack | None:
    """Return what is missing in the container's image, None when it has the least."""
    folders = _folders(container)
    missing = tuple(name for name in NEEDED if not _has_command(client, container, name, folders))
    if not missing:
        return None
    manager = next((name for name in INSTALL_LINES if _has_command(client, container, name, folders)), None)
    packages = " ".join(PACKAGES[name] for name in missing)
    return Lack(missing, INSTALL_LINES[manager].format(packages=packages) if manager else "")


def read_small_file(container: Container, path: str) -> bytes:
    """Return a regular file's bytes; nothing when it is missing, something else, or large."""
    try:
        chunks, facts = container.get_archive(path)
    except docker.errors.NotFound:
        return b""
    content = b"".join(chunks) if facts and facts["size"] <= LARGEST_FILE else b""
    with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(content)) as tar:
        entry = tar.next()
        file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
        return file.read() if file is not None else b""
    return b""


def has_path(client: DockerClient, container: Container, path: str) -> bool:
    """Say whether something stands at a path, by its facts alone."""
    # The SDK only knows how to fetch the whole; the engine also answers for the facts.
    url = f"{client.api.base_url}/v{client.api.api_version}/containers/{container.id}/archive"
    answer = client.api.head(url, params={"path": path}, timeout=client.api.timeout)
    return bool(answer.status_code == 200)


def _folders(container: Container) -> list[str]:
    variables = container.attrs["Config"].get("Env") or []
    path = next((line.removeprefix("PATH=") for line in variables if line.startswith("PATH=")), DEFAULT_PATH)
    return [folder for folder in path.split(":") if folder.startswith("/")]


def _has_command(client: DockerClient, container: Container, name: str, folders: list[str]) -> bool:
    return any(has_path(client, container, f"{folder.rstrip('/')}/{name}") for folder in folders)
