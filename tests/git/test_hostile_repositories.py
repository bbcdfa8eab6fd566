"""Nothing a repository controls is executed by any of our commands, although plain git executes it."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.errors import GitError
from pipeline.git.base import read_base
from pipeline.git.branch import publish
from pipeline.git.command import Git
from pipeline.git.isolation import blanks
from pipeline.git.receipt import take
from pipeline.git.repository import open_repository, resolve
from pipeline.git.tree import TreeStore
from sandbox.base import FileState, Snapshot
from stages.artifacts import Ticket
from tests.git.repositories import PLAIN, git, make_repository, write

HOOKS = ("reference-transaction", "post-index-change", "pre-commit", "post-commit", "pre-auto-gc", "post-checkout")


@dataclass(frozen=True)
class Vector:
    """A way to make git run `SCRIPT`: configuration, further preparation, and a command that falls for it."""

    name: str
    naive: tuple[str, ...]
    config: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[Callable[[Path, Path], None], ...] = ()


def attributes(line: str) -> Callable[[Path, Path], None]:
    def prepare(folder: Path, script: Path) -> None:
        write(folder, ".git/info/attributes", line.encode())

    return prepare


def hooks(place: str) -> Callable[[Path, Path], None]:
    def prepare(folder: Path, script: Path) -> None:
        for name in HOOKS:
            write(folder, f"{place}/{name}", script.read_bytes())
            (folder / place / name).chmod(0o755)

    return prepare


def included(folder: Path, script: Path) -> None:
    text = f'[core]\n\tfsmonitor = {script}\n[filter "hidden"]\n\tclean = {script}\n'
    write(folder, ".git/evil.cfg", text.encode())


def worktree_config(folder: Path, script: Path) -> None:
    write(folder, ".git/config.worktree", f"[core]\n\tfsmonitor = {script}\n".encode())


def alternates(folder: Path, script: Path) -> None:
    other = make_repository(folder.parent / "other")
    write(folder, ".git/objects/info/alternates", f"{other}/.git/objects\n".encode())


def missing_object(folder: Path, script: Path) -> None:
    name = git(folder, "rev-parse", "HEAD:a.txt")
    (folder / ".git/objects" / name[:2] / name[2:]).unlink()


LAZY = {
    "core.repositoryFormatVersion": "1",
    "extensions.partialClone": "origin",
    "remote.origin.promisor": "true",
}
SSH = {"remote.origin.url": "ssh://x/y", "core.sshCommand": "SCRIPT"}
PACK = {"remote.origin.url": "TOP", "remote.origin.uploadpack": "SCRIPT"}
CAT = ("cat-file", "-p", "HEAD:a.txt")
HASH = ("hash-object", "a.txt")
VECTORS = [
    Vector("fsmonitor", ("status",), {"core.fsmonitor": "SCRIPT"}),
    Vector("hooks path", ("update-ref", "refs/heads/n", "HEAD"), {"core.hooksPath": "HOOKS"}, (hooks("HOOKS"),)),
    Vector("hooks", ("update-ref", "refs/heads/n", "HEAD"), {}, (hooks(".git/hooks"),)),
    Vector("index hook", ("read-tree", "HEAD"), {}, (hooks(".git/hooks"),)),
    Vector("clean", HASH, {"filter.evil.clean": "SCRIPT"}, (attributes("* filter=evil"),)),
    Vector("process", HASH, {"filter.evil.process": "SCRIPT"}, (attributes("* filter=evil"),)),
    Vector("odd name", HASH, {"filter.a=b.c.clean": "SCRIPT"}, (attributes("* filter=a=b.c"),)),
    Vector("external diff", ("diff",), {"diff.external": "SCRIPT"}),
    Vector("diff driver", ("diff",), {"diff.evil.command": "SCRIPT"}, (attributes("* diff=evil"),)),
    Vector("textconv", ("diff",), {"diff.evil.textconv": "SCRIPT"}, (attributes("* diff=evil"),)),
    Vector("include", ("status",), {"include.path": "evil.cfg"}, (included,)),
    Vector("included filter", HASH, {"include.path": "evil.cfg"}, (included, attributes("* filter=hidden"))),
    Vector("worktree config", ("status",), {"extensions.worktreeConfig": "true"}, (worktree_config,)),
    Vector("signature", ("commit", "--allow-empty", "-m", "x"), {"gpg.program": "SCRIPT", "commit.gpgSign": "true"}),
    Vector("alternate refs", ("rev-list", "--alternate-refs"), {"core.alternateRefsCommand": "SCRIPT"}, (alternates,)),
    Vector("lazy fetch", CAT, LAZY | SSH, (missing_object,)),
    Vector("upload pack", CAT, LAZY | PACK, (missing_object,)),
]


def hostile(tmp_path: Path, vector: Vector) -> tuple[Path, Path]:
    marker, script = tmp_path / "marker", tmp_path / "script.sh"
    write(tmp_path, "script.sh", f"#!/bin/sh\necho fired >> {marker}\nexit 1\n".encode())
    folder = make_repository(tmp_path / "user", {"a.txt": b"one\n", "b.txt": b"two\n"})
    for prepare in vector.prepare:
        prepare(folder, script)
    words = {"SCRIPT": str(script), "HOOKS": str(folder / "HOOKS"), "TOP": str(folder)}
    for key, value in vector.config.items():
        for word, meaning in words.items():
            value = value.replace(word, meaning)  # noqa: PLW2901 - placeholders are filled one after the other
        git(folder, "config", key, value)
    write(folder, "a.txt", b"dirty\n")
    assert not marker.exists()
    return folder, marker


def everything_we_do(folder: Path, objects: Path) -> None:
    repository = open_repository(folder)
    base = resolve(repository, "HEAD")
    take(repository)
    runs = Git(repository.path, objects)
    trees = TreeStore(runs, read_base(runs, base))
    snapshot = Snapshot({"a.txt": FileState("100644", b"three\n"), "b.txt": None, "n.txt": FileState("100755", b"")})
    trees.read_file("b.txt", Snapshot())
    trees.diff(Snapshot(), snapshot)
    publish(runs, base, trees.write(snapshot), ticket=Ticket(id="t", title="t", body=""), run_id="r", models=(), when=0)
    take(repository)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_nothing_of_the_repository_runs(tmp_path: Path, vector: Vector) -> None:
    folder, marker = hostile(tmp_path, vector)
    lazy = "partialClone" in str(vector.config)
    try:
        everything_we_do(folder, tmp_path / "objects")
    except GitError as error:
        assert lazy, error  # noqa: PT017 - only the missing object may be complained of
        assert "partial clone" in str(error)  # noqa: PT017
    else:
        assert not lazy
        assert git_without_config(folder, "rev-parse", "stagewright/t")
    assert not marker.exists()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_plain_git_does_run_it(tmp_path: Path, vector: Vector) -> None:
    folder, marker = hostile(tmp_path, vector)
    environment = {**PLAIN, "GIT_ALLOW_PROTOCOL": "file:ssh"}
    subprocess.run(["git", *vector.naive], cwd=folder, env=environment, capture_output=True, check=False, timeout=20)
    assert marker.exists()


def git_without_config(folder: Path, *arguments: str) -> bytes:
    return Git(folder).run(*arguments)


@pytest.mark.parametrize(
    "name",
    [
        "filter.a.clean",
        "FILTER.a.Smudge",
        "merge.x.driver",
        "diff.a.b.c.textconv",
        "hook.x.command",
        "trailer.sign.cmd",
        "remote.o.uploadpack",
        "credential.https://example.org.helper",
    ],
)
def test_names_that_run_commands_are_blanked_whatever_is_in_the_middle(name: str) -> None:
    assert set(blanks([name, "user.name", "filter.clean", "core.bare"])) == {name}


def test_variables_of_the_callers_environment_do_not_reach_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_repository(tmp_path / "user")
    other = make_repository(tmp_path / "other", {"b.txt": b"b"})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(other / ".git"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=false'")
    assert open_repository(folder).path == folder
    assert Git(folder).run("rev-parse", "HEAD").decode().strip() == git(folder, "rev-parse", "HEAD")
