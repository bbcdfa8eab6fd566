"""Preflight knows the environment a run would have, and what of it is missing, with what to type."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from pipeline.preflight import Preflight
from tests.config.files import SOUND
from tests.git.repositories import git, make_repository
from tests.preflight.test_preflight import found, lines


def project(folder: Path, sandbox: str = "", files: dict[str, str] | None = None) -> Path:
    text = SOUND + (f"sandbox: {sandbox}\n" if sandbox else "")
    every = {"pipeline.yaml": text, **(files or {})}
    return make_repository(folder / "project", {path: content.encode() for path, content in every.items()})


def choice(result: Preflight) -> str:
    assert result.choice is not None
    return result.choice.line()


def test_the_choice_is_made_from_the_base_commit_and_not_from_the_work_tree(tmp_path: Path) -> None:
    folder = project(tmp_path, files={"package-lock.json": "{}"})
    git(folder, "tag", "before")
    git(folder, "rm", "-q", "package-lock.json")
    git(folder, "commit", "-q", "-m", "no lock any more")
    (folder / ".devcontainer.json").write_text('{"image": "of-the-work-tree"}', encoding="utf-8")
    git(folder, "add", ".devcontainer.json")
    assert choice(found(folder)) == "stagewright/python (the default image)"
    assert choice(found(folder, base="before")) == "stagewright/node (package-lock.json is at the root)"


def test_without_a_commit_only_the_config_is_asked(tmp_path: Path) -> None:
    folder = project(tmp_path, files={"package-lock.json": "{}"})
    assert choice(found(folder, base="nowhere")) == "stagewright/python (the default image)"
    assert found(folder, config_only=True).choice is None


@pytest.fixture
def engine() -> Iterator[DockerClient]:
    client = DockerClient.from_env()
    yield client
    client.close()


@pytest.fixture
def image(engine: DockerClient) -> Iterator[Callable[[str], str]]:
    names: list[str] = []

    def build(text: str) -> str:
        names.append(f"stagewright-test/preflight-{len(names)}")
        file = io.BytesIO(f"FROM stagewright/python\n{text}".encode())
        engine.images.build(fileobj=file, tag=names[-1], rm=True, network_mode="none")
        return names[-1]

    yield build
    for name in names:
        engine.images.remove(name, force=True)


MISSING = [
    (
        "{image: no/such:1}",
        {},
        (
            "SW402 pipeline.yaml:30:11: sandbox.image: the image `no/such:1` is not there; "
            "`docker build -t no/such:1 .` or `docker pull no/such:1`; it needs at least Python 3 and git"
        ),
    ),
    (
        "",
        {".devcontainer.json": '{"image": "no/such:1"}'},
        (
            "SW402 sandbox.image: the image `no/such:1` (.devcontainer.json names it) is not there; "
            "`docker build -t no/such:1 .` or `docker pull no/such:1`; it needs at least Python 3 and git; "
            "or name another at sandbox.image"
        ),
    ),
    (
        "{dockerfile: Dockerfile}",
        {},
        (
            "SW407 pipeline.yaml:30:11: sandbox.dockerfile: the base commit has no file `Dockerfile`; "
            "only committed files count: `git add Dockerfile` and commit, or correct the path"
        ),
    ),
    (
        "{dockerfile: Dockerfile}",
        {"Dockerfile": "FROM stagewright/python\nCOPY --from=no/such:2 /a /a\n"},
        (
            "SW407 pipeline.yaml:30:11: sandbox.dockerfile: line 2 of Dockerfile needs the image no/such:2, "
            "which is not here; nothing is pulled during a run: type `docker pull no/such:2`"
        ),
    ),
    (
        "",
        {".devcontainer/devcontainer.json": json.dumps({"build": {"dockerfile": "Gone"}})},
        (
            "SW407 sandbox.image: the base commit has no file `.devcontainer/Gone`; only committed files count: "
            "`git add .devcontainer/Gone` and commit, or correct the path"
        ),
    ),
]


@pytest.mark.docker
@pytest.mark.parametrize(("sandbox", "files", "line"), MISSING)
def test_what_is_not_there_is_said_with_what_to_type(
    tmp_path: Path, sandbox: str, files: dict[str, str], line: str
) -> None:
    assert lines(found(project(tmp_path, sandbox, files), docker=True)) == [line]


@pytest.mark.docker
def test_an_image_that_lacks_git_is_refused_with_the_line_to_add(
    tmp_path: Path, image: Callable[[str], str], engine: DockerClient
) -> None:
    name = image("USER root\nRUN rm /usr/bin/git\n")
    (line,) = lines(found(project(tmp_path, f"{{image: {name}}}"), docker=True))
    assert line == (
        f"SW407 pipeline.yaml:30:11: sandbox.image: git is missing in the image {name}; add this line to its "
        "Dockerfile and build it again: `RUN apt-get update && apt-get install -y --no-install-recommends git`"
    )
    assert engine.api.containers(all=True, filters={"ancestor": name}) == []


@pytest.mark.docker
def test_a_dockerfile_that_can_be_built_is_no_problem_and_is_not_built_yet(
    tmp_path: Path, engine: DockerClient
) -> None:
    before = {found.id for found in engine.images.list(all=True)}
    files = {"Dockerfile": "FROM stagewright/python\nRUN exit 1\n"}
    result = found(project(tmp_path, "{dockerfile: Dockerfile}", files), docker=True)
    assert lines(result) == []
    assert choice(result) == "built from Dockerfile (named at sandbox.dockerfile)"
    assert {found.id for found in engine.images.list(all=True)} == before
