"""What goes into a real container and what comes out of it, against what the user's own git says."""

from pathlib import Path

import anyio
import pytest

from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.git.receipt import compare, take
from pipeline.git.repository import open_repository
from pipeline.git.tree import TreeStore
from sandbox.base import BaseTree, Sandbox, UnacceptableChangeError
from sandbox.docker import backend
from tests.git.repositories import fingerprint, git, make_repository, write
from tests.sandbox.trees import environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
FILES = {
    ".gitignore": b"*.log\n",
    "a.txt": b"one\n",
    "crlf.txt": b"one\r\n",
    "data.bin": bytes(range(256)),
    "deep/er/b.txt": b"two\n",
    "run.sh": b"#!/bin/sh\n",
    "\u00fcn\u00ef.txt": b"u\n",
}
CHANGES = {
    "modify": "echo more >> a.txt",
    "add": "mkdir -p n/m; echo x > n/m/new.txt",
    "delete": "rm a.txt deep/er/b.txt",
    "rename": "mv deep/er/b.txt moved.txt",
    "mode": "chmod -x run.sh; chmod +x a.txt",
    "binary": "printf '\\000\\377\\r\\n' > data.bin; printf '\\001\\000' > more.bin",
    "line ends": "printf 'one\\ntwo\\r\\n' > crlf.txt",
    "symlink": "ln -s deep/er/b.txt inside; rm a.txt; ln -s run.sh a.txt",
    "unicode": "echo x > '\u00e9 \u4e16.txt'; echo more >> \u00fcn\u00ef.txt",
    "file to folder": "rm a.txt; mkdir a.txt; echo x > a.txt/inner; rm -r deep; echo y > deep",
    "nothing": "touch a.txt; echo x > seen.log; echo one > a.txt",
    "everything": "git ls-files -z | xargs -0 -n1 sh -c 'echo x >> \"$0\"'",
}
# A trick, and whether plain `git status` in the container falls for it: the negative control.
TRICKS = {
    "assume-unchanged": "git update-index --assume-unchanged a.txt",
    "skip-worktree": "git update-index --skip-worktree a.txt",
    "info/exclude": "git rm -q --cached a.txt; echo a.txt >> .git/info/exclude; git commit -qm x",
    "moved HEAD": "echo seen > a.txt; git commit -qam moved",
    "clean filter": "echo 'a.txt filter=x' > .git/info/attributes; git config filter.x.clean 'printf \"one\\\\n\"'; "
    "touch -d 2001-01-01 a.txt",
    "rewritten object": "O=$(git rev-parse HEAD:a.txt); F=.git/objects/$(echo $O | cut -c1-2)/$(echo $O | cut -c3-); "
    "mkdir -p $(dirname $F); echo seen > a.txt; N=$(git hash-object -w a.txt); "
    "git replace -f $O $N; git commit -qam x",
    "nested repository": "git init -q deep; git rm -rq --cached deep; git commit -qm x",
}
IDENTITY = "git config user.name a; git config user.email b@example.org; "


async def shell(sandbox: Sandbox, script: str) -> str:
    done = await sandbox.exec(["sh", "-c", script], timeout=60)
    assert done.exit_code == 0, done
    return done.stdout.decode(errors="replace")


def user_repository(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "user", FILES)
    git(folder, "branch", "other")
    git(folder, "tag", "v1")
    git(folder, "remote", "add", "origin", "https://someone:secret@example.invalid/x.git")
    write(folder, "later.txt", b"later\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "later")
    return folder


def base_of(folder: Path, objects: Path) -> tuple[Git, BaseTree]:
    runs = Git(folder, objects)
    return runs, read_base(runs, git(folder, "rev-parse", "HEAD"))


async def test_the_base_commit_goes_in_alone_and_the_users_repository_stays_byte_identical(tmp_path: Path) -> None:
    folder = user_repository(tmp_path)
    head = git(folder, "rev-parse", "HEAD")
    before, receipt = fingerprint(folder), take(open_repository(folder))
    _, base = base_of(folder, tmp_path / "objects")
    async with backend().open(environment(), base) as sandbox:
        assert (await shell(sandbox, "git rev-parse HEAD")).strip() == head
        assert (
            await shell(sandbox, "git status --porcelain; git for-each-ref; git remote; git tag; git stash list") == ""
        )
        inside = await shell(sandbox, "git cat-file --batch-all-objects --batch-check='%(objectname)' | sort")
        config = await shell(sandbox, "cat .git/config; find .git -type f | xargs cat")
        await shell(sandbox, "echo changed > a.txt; rm -rf deep")
        await sandbox.snapshot()
    expected = git(folder, "ls-tree", "-r", "-t", "--format=%(objectname)", "HEAD").split()
    assert inside.split() == sorted({head, git(folder, "rev-parse", "HEAD^{tree}"), *expected})
    assert "secret" not in config
    assert "secret" in (folder / ".git/config").read_text(), "the control: the user's own config does hold it"
    assert fingerprint(folder) == before
    assert compare(receipt, take(open_repository(folder)), new_branch=None).unchanged


async def test_every_kind_of_change_comes_out_as_the_tree_of_the_users_own_git(tmp_path: Path) -> None:
    folder = user_repository(tmp_path)
    runs, base = base_of(folder, tmp_path / "objects")
    trees = TreeStore(runs, base)
    seen: dict[str, tuple[str, str]] = {}
    async with backend().open(environment(), base) as sandbox:
        empty = await sandbox.snapshot()
        for kind, script in CHANGES.items():
            await shell(sandbox, script)
            ours = trees.write(await sandbox.snapshot())
            copy = tmp_path / kind.replace(" ", "-")
            git(tmp_path, "clone", "-q", str(folder), str(copy))
            await _on_the_host(copy, script)
            seen[kind] = (ours, git(copy, "write-tree"))
            await sandbox.restore(empty)
    assert {kind: ours for kind, (ours, _) in seen.items()} == {kind: theirs for kind, (_, theirs) in seen.items()}
    # The control: each change is a change, and another one, but for the one that is none.
    assert len({ours for ours, _ in seen.values()}) == len(CHANGES)
    assert seen["nothing"][0] == git(folder, "rev-parse", "HEAD^{tree}")


async def _on_the_host(copy: Path, script: str) -> None:
    await anyio.run_process(["sh", "-c", script], cwd=copy)
    git(copy, "add", "-A")


async def test_what_fools_plain_git_in_the_container_does_not_fool_the_snapshot(tmp_path: Path) -> None:
    folder = user_repository(tmp_path)
    _, base = base_of(folder, tmp_path / "objects")
    fooled, refused = set(), {}
    async with backend().open(environment(), base) as sandbox:
        empty = await sandbox.snapshot()
        for trick, script in TRICKS.items():
            await shell(sandbox, f"{IDENTITY}{script}; echo seen > a.txt")
            if await shell(sandbox, "git status --porcelain") == "":
                fooled.add(trick)
            try:
                changed = (await sandbox.snapshot()).files
            except UnacceptableChangeError as error:
                refused[trick] = error.code
            else:
                assert changed["a.txt"] is not None, trick
                assert changed["a.txt"].content == b"seen\n", trick
            await sandbox.restore(empty)
    assert fooled >= {"assume-unchanged", "skip-worktree", "info/exclude", "moved HEAD", "rewritten object"}, fooled
    assert refused == {}
