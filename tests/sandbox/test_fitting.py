"""An image of the user's works with one thin layer, or is refused with the line that would make it work."""

import io
from collections.abc import Callable, Iterator

import anyio
import pytest
from docker import DockerClient

from sandbox.base import BaseTree
from sandbox.docker import DockerBackend
from sandbox.fitting import UnfitImageError, fitted_image, look_at_image
from tests.sandbox.trees import environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
ODD = (
    "USER root\nRUN userdel agent; rm -rf /workspace /home/agent /etc/gitconfig /bin/bash /tmp\n"
    'ENV SHELL=/nowhere HOME=/odd\nWORKDIR /odd/place\nUSER nobody\nENTRYPOINT ["/bin/false"]\nCMD []\n'
    "HEALTHCHECK --interval=1s CMD false\n"
)


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    opened = DockerClient.from_env()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def built(client: DockerClient) -> Iterator[Callable[[str, str], str]]:
    """Build images for a test, and remove them and what was made of them."""
    names: list[str] = []

    def build(name: str, text: str) -> str:
        file = io.BytesIO(f"FROM stagewright/python\n{text}".encode())
        client.images.build(fileobj=file, tag=f"stagewright-test/{name}", rm=True, network_mode="none")
        names.append(f"stagewright-test/{name}")
        return names[-1]

    yield build
    for name in dict.fromkeys(names):
        identifier = client.images.get(name).id
        for layer in client.images.list(filters={"label": f"stagewright.fitted={identifier}"}):
            client.images.remove(str(layer.id), force=True)
        client.images.remove(name, force=True)


def quietly(_line: str) -> None:
    pass


async def test_an_image_with_entrypoint_user_workdir_and_without_tmp_and_bash_works(
    docker_backend: DockerBackend, built: Callable[[str, str], str], small_base: BaseTree, client: DockerClient
) -> None:
    odd = built("odd", ODD)
    await look_at_image(odd)
    variables = {"PLAIN": "a $b \"c\" 'd' \\e"}
    name = await fitted_image(odd, variables=variables, say=quietly)
    assert await fitted_image(odd, variables=variables, say=quietly) == name
    assert await fitted_image(odd, say=quietly) != name
    layers = [image["RootFS"]["Layers"] for image in (client.images.get(odd).attrs, client.images.get(name).attrs)]
    assert layers[1][:-1] == layers[0]
    assert client.images.get(name).attrs["Config"]["Healthcheck"]["Test"] == ["NONE"]
    async with docker_backend.open(environment(image=name), small_base) as sandbox:
        script = 'id -un; pwd; printf "%s\\n" "$PLAIN"; stat -c %a /tmp; echo x > /tmp/x && git status --short; ls'
        result = await sandbox.exec(["sh", "-c", script], timeout=20, merge_output=True)
        assert result.stdout.decode().splitlines() == ["agent", "/workspace", variables["PLAIN"], "1777", "a.txt"]
        await sandbox.write("b.txt", b"b")
        assert list((await sandbox.snapshot()).files) == ["b.txt"]


async def test_the_odd_image_could_not_be_used_by_itself(
    built: Callable[[str, str], str], client: DockerClient
) -> None:
    config = client.images.get(built("odd", ODD)).attrs["Config"]
    assert (config["Entrypoint"], config["User"], config["WorkingDir"]) == (["/bin/false"], "nobody", "/odd/place")


LACKS = [
    ("git", "rm -f /usr/bin/git", r"git is missing", "`RUN apt-get update && .* git`"),
    ("python", "rm -f /usr/bin/python3", r"Python 3 \(`python3`\) is missing", "apt-get .* python3`"),
    (
        "both",
        "rm -f /usr/bin/git /usr/bin/python3",
        r"Python 3 \(`python3`\) and git are missing",
        r"apt-get .* python3 git`",
    ),
    ("apk", "rm -f /usr/bin/git /usr/bin/apt-get && ln -s true /usr/bin/apk", "git is missing", "`RUN apk add .* git`"),
    ("dnf", "rm -f /usr/bin/git /usr/bin/apt-get && ln -s true /usr/bin/dnf", "git is missing", "`RUN dnf .* git`"),
    ("no manager", "rm -f /usr/bin/git /usr/bin/apt-get", "git is missing", "no package manager that is known"),
]


@pytest.mark.parametrize(("name", "command", "missing", "advice"), LACKS, ids=[row[0] for row in LACKS])
async def test_an_image_without_the_least_is_refused_with_the_line_to_add(
    built: Callable[[str, str], str], client: DockerClient, name: str, command: str, missing: str, advice: str
) -> None:
    image = built(name.replace(" ", "-"), f"USER root\nRUN {command}\n")
    before = {str(found.id) for found in client.images.list()}
    for look in (look_at_image, lambda image: fitted_image(image, say=quietly)):
        with pytest.raises(UnfitImageError, match=f"(?s){missing}.*{image}.*{advice}"):
            await look(image)
    assert {str(found.id) for found in client.images.list()} == before


@pytest.mark.parametrize("volume", ["/workspace", "/opt", "/home/agent/cache"])
async def test_an_image_that_keeps_a_folder_of_the_sandbox_in_a_volume_is_refused(
    built: Callable[[str, str], str], volume: str
) -> None:
    image = built(f"volume{volume.replace('/', '-')}", f"VOLUME {volume}\nVOLUME /srv/data\n")
    with pytest.raises(UnfitImageError, match=f"keeps {volume} in a volume.*take `VOLUME {volume}` out"):
        await look_at_image(image)


async def test_an_image_without_anything_is_refused_without_a_crash(client: DockerClient) -> None:
    client.images.build(fileobj=io.BytesIO(b"FROM scratch\nLABEL a=b\n"), tag="stagewright-test/nothing", rm=True)
    try:
        with pytest.raises(UnfitImageError, match=r"Python 3 .* and git and a shell .* are missing"):
            await look_at_image("stagewright-test/nothing")
    finally:
        client.images.remove("stagewright-test/nothing", force=True)


async def test_images_of_ours_are_taken_as_they_are() -> None:
    assert await fitted_image("stagewright/python", say=quietly) == "stagewright/python"


async def test_two_that_fit_the_same_image_at_once_both_get_it(built: Callable[[str, str], str]) -> None:
    image = built("twice", "LABEL twice=1\n")
    names: list[str] = []

    async def fit() -> None:
        names.append(await fitted_image(image, say=quietly))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(fit)
    assert len(set(names)) == 1
