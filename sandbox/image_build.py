"""Builds an image from a Dockerfile and the files of a commit: nothing is pulled, and the result is kept by content."""

import hashlib
import io
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import docker.errors
import requests
from anyio import fail_after
from docker import DockerClient

from sandbox.base import SandboxUnavailableError
from sandbox.build_context import RESERVED_NAME
from sandbox.dockerfile import Fetches, Wanted, fetches
from sandbox.engine import Engine, open_engine
from sandbox.recipe import how_to_get
from sandbox.single_maker import image_is_here

Say = Callable[[str], None]
REPOSITORY = "stagewright/built"
SHOWN_CHARACTERS = 2_000
KEPT_LINES = 200
# Changed whenever the same files would give another image.
LAYOUT = "1"


class BuildError(SandboxUnavailableError):
    """An image cannot be built; `advice` is what to type."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(f"{message}; {advice}")
        self.message = message
        self.advice = advice


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """What is built: `dockerfile` is its path as its user knows it, `text` its content, `context` a packed folder.

    `network` decides whether its commands may use the network; `memory` bounds them, in bytes.
    """

    dockerfile: str
    text: str
    context: bytes = field(repr=False)
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    network: bool = False
    memory: int


class BuildOutput:
    """What a build says, and the way to stop listening to it from another thread."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._response: requests.Response | None = None
        self._ended = False

    def take(self, response: requests.Response, **_more: Any) -> None:
        """Note the answer that is about to be read."""
        self._response = response
        if self._ended:
            self.end()

    def hear(self, line: Mapping[str, Any]) -> str | None:
        """Keep a line; return its error."""
        self._lines.append(str(line.get("stream", "")))
        return str(line["error"]) if "error" in line else None

    def end(self) -> None:
        """Let whoever reads the answer see its end."""
        self._ended = True
        if self._response is not None:
            with suppress(ValueError, RuntimeError, OSError):  # it has ended already
                self._response.raw.shutdown()
            self._response.close()

    def last_words(self) -> str:
        """Return the end of what was said."""
        return "".join(self._lines).strip()[-SHOWN_CHARACTERS:]


async def built_image(build: ImageBuild, *, seconds: float, say: Say) -> str:
    """Return the name of the image, from the cache when the same was built before.

    :raises BuildError: an image it needs is not here, or a step failed, or took longer than `seconds` together.
    :raises SandboxUnavailableError: Docker does not answer.
    """
    async with open_engine(max(1.0, seconds)) as engine:
        name = f"{REPOSITORY}:{await _key(engine, build)}"
        if await engine.call(lambda client: image_is_here(client, name)):
            say(f"{build.dockerfile}: cached as {name}")
            return name
        say(f"building {build.dockerfile} ({len(build.context) >> 10} KiB of the commit's files)")
        await _run(engine, build, name, seconds)
        say(f"{build.dockerfile}: kept as {name}")
        return name


async def look_at_build(build: ImageBuild) -> None:
    """See whether everything the build needs is here; nothing is started.

    :raises BuildError: it is not.
    :raises SandboxUnavailableError: Docker does not answer.
    """
    async with open_engine() as engine:
        await _key(engine, build)


async def _key(engine: Engine, build: ImageBuild) -> str:
    needs = _needs(build)
    images = await engine.call(lambda client: {wanted: _id(client, wanted) for wanted in needs.images})
    for wanted, identifier in images.items():
        if identifier is None:
            platform = f" for {wanted.platform}" if wanted.platform else ""
            where = f"line {wanted.line} of {build.dockerfile}"
            message = f"{where} needs the image {wanted.name}{platform}, which is not here"
            raise BuildError(message, f"nothing is pulled during a run: type `{how_to_get(wanted.name)}`")
    parts = [LAYOUT, sorted(map(str, images.values())), build.text, dict(build.arguments), build.target, build.network]
    text = json.dumps([*parts, hashlib.sha256(build.context).hexdigest()], sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _needs(build: ImageBuild) -> Fetches:
    try:
        needs = fetches(build.text, build.arguments)
    except ValueError as error:
        raise BuildError(f"{build.dockerfile} cannot be built: {error}", "correct and commit it") from error
    if needs.remote_files and not build.network:
        first = needs.remote_files[0]
        message = f"line {first.line} of {build.dockerfile} adds {first.name} from the network, which is off"
        raise BuildError(message, "write `network: setup` under `sandbox`, or commit the file")
    return needs


def _id(client: DockerClient, wanted: Wanted) -> str | None:
    try:
        image = client.images.get(wanted.name)
    except docker.errors.ImageNotFound:
        return None
    known = f"{image.attrs['Os']}/{image.attrs['Architecture']}"
    # The engine would pull an image whose platform is not the one asked for.
    return str(image.id) if wanted.platform in {"", known} else None


async def _run(engine: Engine, build: ImageBuild, name: str, seconds: float) -> None:
    output = BuildOutput()
    failure: str | None = None
    try:
        with fail_after(seconds):
            failure = await engine.call(lambda client: _follow(client, build, name, output), abandon=True)
    except TimeoutError:
        failure = f"it took longer than {seconds:.0f} s"
    except SandboxUnavailableError as error:
        failure = str(error)
    finally:
        # Nobody waits any more: the engine ends a build whose reader is gone.
        output.end()
    if failure is not None:
        advice = "correct and commit it, or give it more time"
        if not build.network:
            advice = "the network is off while it is built; `sandbox.network: setup` turns it on"
        raise BuildError(f"{build.dockerfile} could not be built: {failure}", f"{advice}\n{output.last_words()}")


def _follow(client: DockerClient, build: ImageBuild, name: str, output: BuildOutput) -> str | None:
    """Build, read what the engine says, and return its error, None when there is none."""
    client.api.hooks["response"].append(output.take)
    lines = client.api.build(
        fileobj=io.BytesIO(build.context),
        custom_context=True,
        dockerfile=RESERVED_NAME,
        tag=name,
        rm=True,
        forcerm=True,
        pull=False,
        decode=True,
        buildargs=dict(build.arguments),
        target=build.target or None,
        network_mode="default" if build.network else "none",
        container_limits={"memory": build.memory, "memswap": build.memory},
        labels={"app": "stagewright"},
    )
    return next(filter(None, map(output.hear, lines)), None)
