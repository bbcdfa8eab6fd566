"""What is kept of a work tree is all of it, and goes back as it was."""

from pathlib import Path

import pytest

from pipeline.running.kept_tree import keep_tree, kept_file, put_tree_back
from sandbox.docker import backend
from tests.sandbox.conformance import shell
from tests.sandbox.trees import environment, make_base

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
LEAVE = "echo log > run.log; mkdir build; echo b > build/b; chmod 600 app.py; rm data/raw.bin; ln -s /etc/passwd away"
LOOK = "find . -path ./.git -prune -o -printf '%P %m %s %l\\n' | sort | grep -v '^ '"


async def test_ignored_files_modes_links_and_deletions_come_back(tmp_path: Path) -> None:
    base = make_base(tmp_path / "repository")
    archive = kept_file(tmp_path / "state", "run", "item", 2)
    async with backend().open(environment(), base) as box:
        await shell(box, LEAVE)
        before = await shell(box, LOOK)
        assert await keep_tree(box, archive) == str(archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    async with backend().open(environment(), base) as box:
        assert await shell(box, LOOK) != before
        await put_tree_back(box, archive.read_bytes())
        assert await shell(box, LOOK) == before
        assert b"?? away" in await shell(box, "git status --short")


async def test_a_tree_that_is_too_large_is_said_not_to_be_kept(tmp_path: Path) -> None:
    archive = kept_file(tmp_path / "state", "run", None, 1)
    async with backend().open(environment(), make_base(tmp_path / "repository", {"a": b"a"})) as box:
        await shell(box, "head -c 40000000 /dev/urandom > noise")
        assert await keep_tree(box, archive) == "not kept: its archive is larger than 32 MiB"
    assert not archive.exists()
