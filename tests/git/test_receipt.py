"""The receipt sees whatever changed in a checkout, and says nothing when nothing did."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.git.receipt import Receipt, compare, take
from pipeline.git.repository import open_repository
from tests.git.repositories import git, make_repository, write

CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (lambda folder: write(folder, "src/a.py", b"changed"), "file src/a.py changed"),
    "new file": (lambda folder: write(folder, "new.txt", b""), "file new.txt added"),
    "ignored file": (lambda folder: write(folder, "build/x", b""), "file build added"),
    "removed": (lambda folder: (folder / "run.sh").unlink(), "file run.sh removed"),
    "mode": (lambda folder: (folder / "run.sh").chmod(0o644), "file run.sh changed"),
    "mtime alone": (lambda folder: os.utime(folder / "run.sh", ns=(1, 1)), "file run.sh changed"),
    "link": (lambda folder: (folder / "link").symlink_to("src"), "file link added"),
    "branch": (lambda folder: git(folder, "branch", "b"), "ref refs/heads/b added"),
    "tag": (lambda folder: git(folder, "tag", "t"), "ref refs/tags/t added"),
    "moved": (lambda folder: git(folder, "commit", "-q", "--allow-empty", "-m", "x"), "ref refs/heads/main changed"),
    "head": (lambda folder: git(folder, "symbolic-ref", "HEAD", "refs/heads/o"), "git file .git/HEAD changed"),
    "config": (lambda folder: git(folder, "config", "a.b", "c"), "git file .git/config changed"),
    "index": (lambda folder: git(folder, "rm", "-q", "--cached", "run.sh"), "git file .git/index changed"),
    "hook": (lambda folder: write(folder, ".git/hooks/pre-push", b"x"), "git file .git/hooks/pre-push added"),
    "exclude": (lambda folder: write(folder, ".git/info/exclude", b"x"), "git file .git/info/exclude changed"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "user", {"src/a.py": b"a", "run.sh": b"#!/bin/sh\n", ".gitignore": b"build\n"})


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named(folder: Path, change: str) -> None:
    act, line = CHANGES[change]
    before = take(open_repository(folder))
    act(folder)
    report = compare(before, take(open_repository(folder)), new_branch=None)
    assert not report.unchanged
    assert line in report.changes
    assert report.before != report.after


def test_reading_a_checkout_changes_nothing_in_it(folder: Path) -> None:
    before = take(open_repository(folder))
    after = take(open_repository(folder))
    report = compare(before, after, new_branch=None)
    assert report.unchanged
    assert report.before == report.after
    assert report.changes == ()


def test_packing_references_is_no_change(folder: Path) -> None:
    before = take(open_repository(folder))
    git(folder, "pack-refs", "--all")
    assert compare(before, take(open_repository(folder)), new_branch=None).unchanged


def test_a_receipt_survives_json_with_names_that_are_not_utf8(folder: Path) -> None:
    write(folder, os.fsdecode(b"odd\xff.txt"), b"x")
    before = take(open_repository(folder))
    assert Receipt.model_validate_json(before.model_dump_json()) == before
    assert "odd\\xff.txt" in before.work_tree


def test_a_folder_of_ours_inside_the_checkout_is_left_out(folder: Path) -> None:
    state = folder / "state"
    write(state, "db", b"1")
    before = take(open_repository(folder), leave_out=[state])
    write(state, "db", b"22")
    assert compare(before, take(open_repository(folder), leave_out=[state]), new_branch=None).unchanged


def test_a_linked_worktree_is_judged_by_its_own_index_and_the_shared_refs(folder: Path, tmp_path: Path) -> None:
    side = tmp_path / "side"
    git(folder, "worktree", "add", "-q", "-b", "side", str(side))
    before = take(open_repository(side))
    git(side, "rm", "-q", "--cached", "run.sh")
    git(folder, "tag", "t")
    changes = compare(before, take(open_repository(side)), new_branch=None).changes
    assert any(change.endswith("worktrees/side/index changed") for change in changes)
    assert "ref refs/tags/t added" in changes


def test_many_changes_are_counted_not_listed(folder: Path) -> None:
    before = take(open_repository(folder))
    for number in range(120):
        write(folder, f"n{number}", b"")
    report = compare(before, take(open_repository(folder)), new_branch=None)
    assert (len(report.changes), report.more) == (100, 20)
