"""Unusual repositories work from base commit to branch: what the run did not touch comes out as it went in."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from pipeline.git.base import read_base
from pipeline.git.branch import publish
from pipeline.git.command import Git
from pipeline.git.receipt import compare, take
from pipeline.git.repository import open_repository
from pipeline.git.tree import TreeStore
from sandbox.base import BaseTree, Sandbox, Snapshot, UnacceptableChangeError
from sandbox.docker import backend
from stages.artifacts import Ticket
from tests.fakes.directory_sandbox import directory_sandbox
from tests.git.odd_repositories import ODDITIES, Odd
from tests.git.repositories import git
from tests.sandbox.trees import environment

Opener = Callable[[BaseTree], AbstractAsyncContextManager[Sandbox]]
pytestmark = pytest.mark.anyio


def in_docker(base: BaseTree) -> AbstractAsyncContextManager[Sandbox]:
    return backend().open(environment(), base)


OPENERS = [pytest.param(directory_sandbox, id="folder"), pytest.param(in_docker, id="docker", marks=pytest.mark.docker)]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("odd", ODDITIES, ids=lambda odd: odd.name)
async def test_it_works_from_base_to_branch(odd: Odd, opener: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "user"
    odd.make(folder)
    repository = open_repository(folder)
    before = take(repository)
    head = repository.head or ""
    runs = Git(folder, tmp_path / "objects")
    base = read_base(runs, head)
    trees = TreeStore(runs, base)
    async with opener(base) as sandbox:
        assert (await sandbox.exec(["sh", "-c", odd.looks], timeout=30)).stdout == odd.sees
        assert (await sandbox.snapshot()).files == {}
        done = await sandbox.exec(["sh", "-c", odd.script], timeout=30)
        assert done.exit_code == 0, done
        change = await sandbox.snapshot()
        await sandbox.restore(Snapshot())
        assert (await sandbox.snapshot()).files == {}
        await sandbox.restore(change)
        assert await sandbox.snapshot() == change
    tree = trees.write(change)
    trees.diff(Snapshot(), change)
    ticket = Ticket(id="odd", title="Odd", body="")
    branch, _ = publish(runs, head, tree, ticket=ticket, run_id="r", models=(), when=0.0)
    listed = Git(folder).run("diff-tree", "-r", "-z", "--name-status", "--no-renames", head, branch)
    assert tuple(listed.decode().split("\0")[:-1]) == odd.changes
    assert compare(before, take(repository), new_branch=branch).unchanged


@pytest.mark.parametrize(
    ("name", "script", "code"),
    [
        ("names that are not UTF-8", "echo x | tee -a caf*.txt", "path"),
        ("names that are not UTF-8", "rm caf*.txt", "path"),
        ("names with odd characters", "rm 'a\\b'", "path"),
        ("submodule", "echo x > lib/x", "submodule"),
        ("submodule", "rm -r lib; echo x > lib", "submodule"),
        ("submodule", "rm .gitmodules", "submodule"),
        ("links", "ln -sf /etc/passwd up", "symlink"),
    ],
)
async def test_what_may_not_be_changed_in_it_is_refused(name: str, script: str, code: str, tmp_path: Path) -> None:
    odd = next(one for one in ODDITIES if one.name == name)
    odd.make(tmp_path / "user")
    head = git(tmp_path / "user", "rev-parse", "HEAD")
    async with directory_sandbox(read_base(Git(tmp_path / "user"), head)) as sandbox:
        await sandbox.exec(["sh", "-c", script], timeout=30)
        with pytest.raises(UnacceptableChangeError) as refused:
            await sandbox.snapshot()
        assert refused.value.code == code
        await sandbox.restore(Snapshot())
        assert (await sandbox.snapshot()).files == {}
