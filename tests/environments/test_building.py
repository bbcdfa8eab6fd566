"""A Dockerfile is built from the files of the commit, no more of them than its .dockerignore leaves, and bounded."""

import io
import tarfile
from pathlib import Path

import pytest

from pipeline.environments.building import MOST_FILES, image_build
from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.dockerfile import Dockerfile, inside
from sandbox.build_context import RESERVED_NAME
from sandbox.image_build import BuildError, ImageBuild
from tests.environments.commits import commit

FILES = {
    "ci/Dockerfile": "FROM scratch\n",
    ".dockerignore": "# nothing big\n*.bin\ndocs\n!docs/kept.md\n",
    "big.bin": "b",
    "docs/a.md": "a",
    "docs/kept.md": "k",
    "src/app.py": "committed\n",
    "run.sh": "r",
}


def build(files: CommitFiles, path: str = "ci/Dockerfile", context: str = "") -> ImageBuild:
    return image_build(Dockerfile(path=path, context=context), files, network=False, memory=1 << 30)


def content(of: ImageBuild) -> dict[str, tuple[int, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(of.context)) as tar:
        return {entry.name: (entry.mode, (tar.extractfile(entry) or io.BytesIO()).read()) for entry in tar}


def test_the_context_is_the_commit_without_what_is_ignored(tmp_path: Path) -> None:
    found = content(build(commit(tmp_path, FILES)))
    assert set(found) == {".dockerignore", "ci/Dockerfile", "docs/kept.md", "src/app.py", "run.sh", RESERVED_NAME}
    assert found["src/app.py"] == (0o644, b"committed\n")
    assert found["run.sh"][0] == 0o755
    assert found[RESERVED_NAME][1] == b"FROM scratch\n"


def test_a_folder_can_be_the_context_and_the_dockerfile_lie_beside_it(tmp_path: Path) -> None:
    assert set(content(build(commit(tmp_path, FILES), context="src"))) == {"app.py", RESERVED_NAME}


def test_the_same_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (build(commit(tmp_path / name, FILES)).context for name in "ab")
    assert one == other


@pytest.mark.parametrize("path", ["Dockerfile", "../ci/Dockerfile", "/etc/passwd", "ci"])
def test_a_dockerfile_the_commit_does_not_have_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(BuildError, match=f"the base commit has no file `{path}`; only committed files count"):
        build(commit(tmp_path, FILES), path)


def test_a_folder_the_commit_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no folder `nowhere`"):
        build(commit(tmp_path, FILES), context="nowhere")


def test_a_context_beyond_the_limits_is_refused_before_it_is_read(tmp_path: Path) -> None:
    files = commit(tmp_path, FILES)
    many = {f"many/{number}": files.entries["run.sh"] for number in range(MOST_FILES)}
    with pytest.raises(BuildError, match=rf"has {MOST_FILES + 5} files with 0 MiB; at most {MOST_FILES}"):
        build(CommitFiles(files._git, {**files.entries, **many}))


@pytest.mark.parametrize(
    ("path", "plain"),
    [("a/../b", "b"), (".", ""), ("..", None), ("a/../../b", None), ("/a", None), ("..\\a", None), ("a//b/", "a/b")],
)
def test_paths_are_held_inside_the_repository(path: str, plain: str | None) -> None:
    assert inside(path) == plain
