"""A Dockerfile is built without a pull and without a network of its own, kept by content, and ended in time."""

from collections.abc import Iterator

import anyio
import docker.errors
import pytest
from docker import DockerClient

from sandbox.base import SandboxUnavailableError
from sandbox.build_context import pack_context
from sandbox.image_build import BuildError, ImageBuild, built_image, look_at_build
from tests.sandbox.image_files import content
from tests.sandbox.trees import MIB

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
FILES = [("a/b.txt", "100644", b"of the commit"), ("link", "120000", b"a/b.txt"), ("run.sh", "100755", b"#!/bin/sh\n")]


@pytest.fixture
def made(engine: DockerClient) -> Iterator[list[str]]:
    """Collect images, and remove them; layers of builds that fail are the engine's cache."""
    names: list[str] = []
    yield names
    for name in names:
        engine.images.remove(name, force=True)


def build(text: str, *, network: bool = False, **arguments: str) -> ImageBuild:
    context = pack_context(FILES, text.encode())
    return ImageBuild(
        dockerfile="ci/Dockerfile", text=text, context=context, arguments=arguments, network=network, memory=512 * MIB
    )


def quietly(_line: str) -> None:
    pass


async def test_it_is_built_from_the_commits_files_and_kept_by_content(engine: DockerClient, made: list[str]) -> None:
    said: list[str] = []
    text = "ARG BASE\nFROM ${BASE}\nUSER root\nCOPY . /srv\nRUN cat /srv/link > /copied && test -x /srv/run.sh\n"
    one = build(text, BASE="stagewright/python")
    made.append(await built_image(one, seconds=60, say=said.append))
    assert await built_image(one, seconds=60, say=said.append) == made[0]
    assert said[-1] == f"ci/Dockerfile: cached as {made[0]}"
    assert content(engine, made[0], "/copied") == b"of the commit"
    made.append(await built_image(build(f"{text}LABEL other=1\n", BASE="stagewright/python"), seconds=60, say=quietly))
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "FROM stagewright-test/never-there:1\n",
            (
                r"line 1 of ci/Dockerfile needs the image stagewright-test/never-there:1, which is not here; "
                r"nothing is pulled during a run: type `docker pull stagewright-test/never-there:1`"
            ),
        ),
        ("FROM stagewright/python\nCOPY --from=no/such /a /a\n", r"line 2 .* the image no/such, which is not here"),
        ("FROM --platform=linux/s390x stagewright/python\n", r"stagewright/python for linux/s390x, which is not here"),
        ("FROM stagewright/python:gone\n", "docker pull stagewright/python:gone"),
        (
            "FROM stagewright/python\nADD https://x.example/y /y\n",
            r"line 2 .* adds https://x.example/y from the network",
        ),
        ("RUN true\n", "cannot be built: it has no FROM line"),
    ],
)
async def test_what_is_not_here_is_named_before_anything_is_built(engine: DockerClient, text: str, words: str) -> None:
    before = {image.id for image in engine.images.list(all=True)}
    with pytest.raises(BuildError, match=words):
        await look_at_build(build(text))
    with pytest.raises(BuildError, match=words):
        await built_image(build(text), seconds=30, say=quietly)
    assert {image.id for image in engine.images.list(all=True)} == before


async def test_its_commands_have_no_network_unless_the_config_says_so(made: list[str]) -> None:
    count = "FROM stagewright/python\nRUN test $(ls /sys/class/net | grep -c eth) "
    made.append(await built_image(build(count + "= 0\n"), seconds=60, say=quietly))
    made.append(await built_image(build(count + "= 1\n", network=True), seconds=60, say=quietly))


async def test_a_step_that_fails_is_told_with_its_output(made: list[str]) -> None:
    with pytest.raises(BuildError, match=r"(?s)returned a non-zero code: 3; the network is off.*the reason"):
        await built_image(build("FROM stagewright/python\nRUN echo the reason; exit 3\n"), seconds=60, say=quietly)


async def test_a_build_that_takes_too_long_is_ended_and_its_container_goes(
    engine: DockerClient, made: list[str]
) -> None:
    text = "FROM stagewright/python\nENV MARK=never-ends-1\nRUN echo begun; sleep 300\n"
    begun = anyio.current_time()
    with pytest.raises(BuildError, match=r"(?s)took longer than 2 s.*begun"):
        await built_image(build(text), seconds=2, say=quietly)
    assert anyio.current_time() - begun < 10
    await gone(engine, "MARK=never-ends-1")


async def test_a_cancelled_build_ends_too(engine: DockerClient, made: list[str]) -> None:
    text = "FROM stagewright/python\nENV MARK=never-ends-2\nRUN sleep 300\n"
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: built_image(build(text), seconds=300, say=quietly))
            while not marked(engine, "MARK=never-ends-2"):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    await gone(engine, "MARK=never-ends-2")


def marked(engine: DockerClient, mark: str) -> list[str]:
    """Return the containers that have a variable."""
    rows = engine.api.containers(filters={"status": "running"})
    found = []
    for row in rows:
        try:
            if mark in (engine.api.inspect_container(row["Id"])["Config"]["Env"] or []):
                found.append(str(row["Id"]))
        except docker.errors.NotFound:  # another test's container went meanwhile
            continue
    return found


async def gone(engine: DockerClient, mark: str) -> None:
    """Wait until no container has the variable."""
    with anyio.fail_after(15):
        while marked(engine, mark):
            await anyio.lowlevel.checkpoint()


async def test_an_engine_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(SandboxUnavailableError, match="Docker does not answer"):
        await built_image(build("FROM stagewright/python\n"), seconds=5, say=quietly)
