"""Gives an image of the user's what a sandbox needs, in one thin layer; nothing of the image is run for it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from docker import DockerClient
from docker.models.containers import Container

from sandbox.base import EMPTY, SandboxUnavailableError
from sandbox.engine import Engine, open_engine
from sandbox.image_contents import Lack, lack_of, never_started, read_small_file
from sandbox.recipe import HOME, OWN_IMAGES, USER_ID, WORKSPACE
from sandbox.setup_image import NO_OWNER
from sandbox.single_maker import made_once

Say = Callable[[str], None]
REPOSITORY = "stagewright/fitted"
USER = "agent"
GIT_SETTINGS = b"[safe]\n\tdirectory = *\n[core]\n\tfsmonitor = false\n[gc]\n\tauto = 0\n"
WAIT_SECONDS = 120.0
# Folders the container's user works in. One that the image keeps in a volume could not be limited or kept.
FOLDERS = (WORKSPACE, HOME, "/opt/venv", "/opt/stagewright", "/tmp")  # noqa: S108 - the container's, not the host's
# Changed whenever the layer does.
LAYOUT = "2"


class UnfitImageError(SandboxUnavailableError):
    """An image lacks something that no thin layer brings; `advice` is what to type."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(f"{message}; {advice}")
        self.message = message
        self.advice = advice


@dataclass(frozen=True, slots=True)
class _Layer:
    image: str
    identifier: str
    variables: Mapping[str, str]

    @property
    def key(self) -> str:
        text = json.dumps([LAYOUT, self.identifier, dict(self.variables)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


async def fitted_image(image: str, *, variables: Mapping[str, str] = EMPTY, say: Say) -> str:
    """Return the name of an image that is `image` plus the layer; one of ours needs none, a cached one is taken.

    The layer has the user, the folders it owns, git's settings and `variables`, and takes away a health check.
    :raises UnfitImageError: Python 3, git or a shell is missing, or the image keeps such a folder in a volume.
    :raises SandboxUnavailableError: Docker or the image is not there.
    """
    if image in OWN_IMAGES and not variables:
        return image
    async with open_engine() as engine:
        layer = _Layer(image, await engine.call(lambda client: str(client.images.get(image).id)), variables)
        name = f"{REPOSITORY}:{layer.key}"
        claim = f"stagewright-fit-{layer.key}"
        make = partial(_make, engine, layer, claim)
        if await made_once(engine, name, claim, make, seconds=WAIT_SECONDS, say=say):
            say(f"{image} has what a sandbox needs now, as {name}")
        return name


async def look_at_image(image: str) -> None:
    """See whether an image that is there can be fitted; nothing is started or kept.

    :raises UnfitImageError: it cannot.
    :raises SandboxUnavailableError: Docker or the image is not there.
    """
    if image in OWN_IMAGES:
        return
    async with open_engine() as engine:
        _judge(image, *await engine.call(lambda client: _examined(client, image)))


async def _make(engine: Engine, layer: _Layer, claim: str) -> None:
    _judge(layer.image, *await engine.call(lambda client: _layered(client, layer, claim)))


def _judge(image: str, volume: str | None, lack: Lack | None) -> None:
    if lack is not None:
        raise UnfitImageError(lack.sentence(image), lack.advice())
    if volume is not None:
        message = f"the image {image} keeps {volume} in a volume (`VOLUME`), which a sandbox can neither limit nor keep"
        raise UnfitImageError(message, f"take `VOLUME {volume}` out of its Dockerfile and build it again")


def _examined(client: DockerClient, image: str) -> tuple[str | None, Lack | None]:
    with never_started(client, image) as container:
        return _volume(container), lack_of(client, container)


def _layered(client: DockerClient, layer: _Layer, claim: str) -> tuple[str | None, Lack | None]:
    settings = {
        "name": claim,
        "user": f"{USER_ID}:{USER_ID}",
        "working_dir": WORKSPACE,
        "environment": dict(layer.variables),
        "healthcheck": {"test": ["NONE"]},
        "labels": {"app": "stagewright", "stagewright.fitted": layer.identifier},
    }
    with never_started(client, layer.image, **settings) as container:
        found = _volume(container), lack_of(client, container)
        if found == (None, None):
            container.put_archive("/", _files(container))
            changes = ["ENTRYPOINT []", 'CMD ["python3"]', NO_OWNER]
            client.api.commit(str(container.id), repository=REPOSITORY, tag=layer.key, changes=changes)
    return found


def _volume(container: Container) -> str | None:
    """Return a declared volume at, above or below a folder the container's user works in."""
    for declared in container.attrs["Config"].get("Volumes") or {}:
        path = declared.rstrip("/") + "/"
        if any(f"{folder}/".startswith(path) or path.startswith(f"{folder}/") for folder in FOLDERS):
            return str(declared)
    return None


def _files(container: Container) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in (WORKSPACE, HOME):
            _add_folder(tar, folder, owner=USER_ID, mode=0o755)
        _add_folder(tar, "/tmp", owner=0, mode=0o1777)  # noqa: S108 - the container's, not the host's
        people = _with_user(read_small_file(container, "/etc/passwd"), f":{USER_ID}::{HOME}:/bin/sh")
        _add_file(tar, "/etc/passwd", people)
        _add_file(tar, "/etc/group", _with_user(read_small_file(container, "/etc/group"), ":"))
        _add_file(tar, "/etc/gitconfig", read_small_file(container, "/etc/gitconfig") + b"\n" + GIT_SETTINGS)
    return buffer.getvalue()


def _with_user(content: bytes, rest: str) -> bytes:
    """Return a passwd or group file with a line for the container's user, under a name that is free."""
    lines = content.decode(errors="surrogateescape").splitlines()
    if any(line.split(":")[2:3] == [str(USER_ID)] for line in lines):
        return content
    taken = {line.partition(":")[0] for line in lines}
    name = next(one for one in (USER, "stagewright", f"user{USER_ID}") if one not in taken)
    return "\n".join([*lines, f"{name}:x:{USER_ID}{rest}", ""]).encode(errors="surrogateescape")


def _add_folder(tar: tarfile.TarFile, path: str, *, owner: int, mode: int) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
    tar.addfile(entry)


def _add_file(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode, entry.size = 0o644, len(content)
    tar.addfile(entry, io.BytesIO(content))
