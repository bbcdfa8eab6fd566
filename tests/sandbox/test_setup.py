"""Setup runs once, leaves nothing in the patch, and its result is there in every work tree."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from docker import DockerClient

from sandbox.base import BaseTree, SandboxUnavailableError
from sandbox.docker import DockerBackend
from sandbox.engine import open_engine
from sandbox.reaper import owner_is_dead, owner_labels
from sandbox.setup import SetupFailedError, prepared_image
from sandbox.setup_image import image_key
from sandbox.single_maker import made_once
from tests.sandbox.image_files import below
from tests.sandbox.trees import environment, make_base

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
PROJECT = {
    "pyproject.toml": (
        b"[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        b"[project]\nname = 'example'\nversion = '1'\n[tool.setuptools.packages.find]\nwhere = ['src']\n"
    ),
    "src/example/__init__.py": b"NAME = 'base'\n",
    "test_example.py": b"import example, sys\ndef test_it():\n    assert sys.prefix == '/opt/venv'\n",
    ".gitignore": b"*.log\nnode_modules/\n",
}
INSTALL = "pip install --no-index --no-build-isolation -e ."


@pytest.fixture
def project(tmp_path: Path) -> BaseTree:
    return make_base(tmp_path / "project", PROJECT)


@pytest.fixture
def kept(engine: DockerClient) -> Iterator[list[str]]:
    """Collect the names of images a test made, and remove them."""
    names: list[str] = []
    yield names
    for name in names:
        engine.images.remove(name, force=True)


async def test_what_setup_installs_and_leaves_is_in_every_work_tree_and_never_in_the_patch(
    docker_backend: DockerBackend, project: BaseTree, kept: list[str], engine: DockerClient
) -> None:
    said: list[str] = []
    commands = [
        INSTALL,
        "mkdir -p node_modules/.bin 'odd $name'; echo kept > node_modules/x; echo odd > 'odd $name/[y]'",
        "echo changed >> src/example/__init__.py; rm test_example.py; echo left > src/example/left.py",
    ]
    name = await prepared_image(environment(), project, commands, 60, lock_files={}, say=said.append)
    kept.append(name)
    assert [line for line in said if "pip install" in line] == [f"setup: {INSTALL}"]
    again = await prepared_image(environment(), project, commands, 60, lock_files={}, say=said.append)
    assert (again, said[-1]) == (name, f"setup: cached as {name}")
    assert engine.api.containers(all=True, filters={"ancestor": name}) == []
    async with docker_backend.open(environment(image=name), project) as sandbox:
        script = "cat node_modules/x 'odd $name/[y]' src/example/left.py; pytest -q 2>&1 | tail -1; which python"
        result = await sandbox.exec(["sh", "-c", script], timeout=30)
        assert result.stdout.decode().splitlines()[:3] == ["kept", "odd", "left"]
        assert b"1 passed" in result.stdout
        assert result.stdout.endswith(b"/opt/venv/bin/python\n")
        assert (await sandbox.snapshot()).files == {}
        await sandbox.write("src/example/new.py", b"NEW = 1\n")
        await sandbox.write("node_modules/x", b"touched\n")
        snapshot = await sandbox.snapshot()
        assert list(snapshot.files) == ["src/example/new.py"]
        await sandbox.restore(snapshot)
        assert await sandbox.read("node_modules/x", limit=99) == b"kept\n"
        assert await sandbox.snapshot() == snapshot


@pytest.mark.parametrize(
    ("command", "seconds", "message"),
    [
        ("echo the reason; exit 3", 30, "exit 3.*network is off.*the reason"),
        ("echo slow; sleep 60", 0.5, "setup_timeout was used up.*slow"),
    ],
)
async def test_a_setup_that_fails_says_which_command_and_why_and_is_not_kept(
    project: BaseTree, engine: DockerClient, command: str, seconds: float, message: str
) -> None:
    before = {image.id for image in engine.images.list()}
    with pytest.raises(SetupFailedError, match=f"(?s){message}"):
        await prepared_image(environment(), project, ["true", command], seconds, lock_files={}, say=lambda _: None)
    assert {image.id for image in engine.images.list()} == before


async def test_setup_runs_as_the_containers_user_and_keeps_its_limits(project: BaseTree) -> None:
    command = "id -u; touch /etc/x; grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status; exit 1"
    with pytest.raises(SetupFailedError) as failed:
        await prepared_image(environment(), project, [command], 30, lock_files={}, say=lambda _: None)
    words = str(failed.value).split("\n", 1)[1]
    assert words.startswith("10001\n")
    assert "Permission denied" in words
    assert [line.split()[1] for line in words.splitlines()[-3:]] == ["0000000000000000", "1", "2"]


async def test_a_missing_image_is_named_before_anything_runs(project: BaseTree) -> None:
    with pytest.raises(SandboxUnavailableError, match="stagewright sandbox build"):
        await prepared_image(
            environment(image="stagewright/no-such-image"), project, ["true"], 5, lock_files={}, say=lambda _: None
        )


async def test_of_several_that_need_the_same_environment_one_makes_it_and_the_others_take_it(
    project: BaseTree, kept: list[str]
) -> None:
    said: list[str] = []
    names: list[str] = []

    async def prepare() -> None:
        names.append(
            await prepared_image(environment(), project, ["echo once"], 60, lock_files={"k": b"1"}, say=said.append)
        )

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(prepare)
    kept.append(names[0])
    assert len(set(names)) == 1
    assert said.count("setup: echo once") == 1
    assert sorted(line.split(" as ")[0] for line in said if " as " in line) == [
        "setup: cached", "setup: cached", "setup: kept"
    ]  # fmt: skip


async def test_where_the_first_fails_the_next_tries_itself(project: BaseTree, engine: DockerClient) -> None:
    before = {image.id for image in engine.images.list(all=True)}
    said: list[str] = []
    failed: list[str] = []

    async def prepare() -> None:
        try:
            await prepared_image(environment(), project, ["exit 9"], 60, lock_files={"k": b"2"}, say=said.append)
        except SetupFailedError as error:
            failed.append(str(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(prepare)
        tasks.start_soon(prepare)
    assert (len(failed), said.count("setup: exit 9")) == (2, 2)
    assert {image.id for image in engine.images.list(all=True)} == before


async def test_a_dead_owners_claim_does_not_hold_up_the_next(
    project: BaseTree, kept: list[str], engine: DockerClient
) -> None:
    image_id = str(engine.images.get("stagewright/python").id)
    claim = f"stagewright-setup-{image_key(image_id, ['true'], {'k': b'3'}, network=())}"
    dead = {**owner_labels("r"), "stagewright.owner.start": "1"}
    engine.containers.create("stagewright/python", ["true"], name=claim, labels=dead)
    said: list[str] = []
    with anyio.fail_after(30):
        kept.append(await prepared_image(environment(), project, ["true"], 60, lock_files={"k": b"3"}, say=said.append))
    assert any("left by a process that is gone" in line for line in said)
    # Whoever starts a container of the image is not its maker, dead or alive.
    assert not owner_is_dead({**engine.images.get(kept[0]).labels, "stagewright.owner.start": "1"})


async def test_a_living_owner_that_takes_too_long_is_named(engine: DockerClient, project: BaseTree) -> None:
    claim = "stagewright-test-claim"
    container = engine.containers.create("stagewright/python", ["true"], name=claim, labels=owner_labels("r"))

    async def never() -> None:
        raise AssertionError("the name is taken")

    try:
        async with open_engine() as opened:
            with pytest.raises(SandboxUnavailableError, match=f"in the container {claim}.*docker rm -f {claim}"):
                await made_once(opened, "stagewright/no-such", claim, never, seconds=0.5, say=lambda _: None)
    finally:
        container.remove(force=True)


async def test_caches_in_the_home_folder_and_scratch_files_are_not_kept(
    docker_backend: DockerBackend, project: BaseTree, kept: list[str], engine: DockerClient
) -> None:
    commands = [
        "mkdir -p ~/.cache/deep ~/go/pkg /tmp/scratch && head -c 3000000 /dev/urandom > ~/.cache/deep/blob",
        "touch ~/go/pkg/x ~/.hidden && ln -s / ~/link && chmod -R a-w ~/go && chmod 0 /tmp/scratch",
    ]
    kept.append(await prepared_image(environment(), project, commands, 60, lock_files={}, say=lambda _: None))
    assert [below(engine, kept[0], folder) for folder in ("/home/agent", "/tmp", "/workspace")] == [[], [], []]
    assert below(engine, kept[0], "/opt/venv"), "the same look finds what is there"
    size = engine.images.get(kept[0]).attrs["Size"] - engine.images.get("stagewright/python").attrs["Size"]
    assert size < 3_000_000
