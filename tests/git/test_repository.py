"""What counts as a repository, and what is said about what does not."""

import os
from pathlib import Path

import pytest

from pipeline.errors import GitError
from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.git.repository import open_repository, require_head, resolve
from tests.git.repositories import git, make_repository, write


def test_a_folder_inside_the_repository_finds_its_top(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user", {"src/a.py": b""})
    repository = open_repository(folder / "src")
    assert repository.path == folder
    assert repository.git_dir == repository.common_dir == folder / ".git"
    assert (repository.head, repository.branch) == (git(folder, "rev-parse", "HEAD"), "main")


def test_a_linked_worktree_has_its_own_head_and_the_shared_objects(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    git(folder, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    write(tmp_path / "side", "b.txt", b"b")
    git(tmp_path / "side", "add", "-A")
    git(tmp_path / "side", "commit", "-q", "-m", "side")
    repository = open_repository(tmp_path / "side")
    assert repository.path == tmp_path / "side"
    assert repository.common_dir == folder / ".git"
    assert (repository.head, repository.branch) == (git(tmp_path / "side", "rev-parse", "HEAD"), "side")
    base = read_base(Git(repository.path, tmp_path / "objects"), require_head(repository))
    assert base.entries.keys() == {"a.txt", "b.txt"}


def test_a_detached_head_is_no_branch(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    git(folder, "checkout", "-q", "--detach")
    assert open_repository(folder).branch is None


def test_a_repository_without_a_commit_is_opened_and_says_what_to_do(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    repository = open_repository(tmp_path)
    assert not repository.has_commits
    with pytest.raises(GitError, match="git commit"):
        require_head(repository)


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not in a git repository"):
        open_repository(tmp_path)
    with pytest.raises(GitError, match="does not exist"):
        open_repository(tmp_path / "nowhere")


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare")
    with pytest.raises(GitError, match="bare"):
        open_repository(tmp_path)


def test_sha256_object_ids_are_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    with pytest.raises(GitError, match="SHA-256"):
        open_repository(tmp_path)


@pytest.mark.parametrize("reference", ["main", "HEAD", "v1", "main~0", "refs/heads/main", "FULL", "SHORT"])
def test_a_reference_resolves_to_a_commit(tmp_path: Path, reference: str) -> None:
    folder = make_repository(tmp_path / "user")
    git(folder, "tag", "-a", "v1", "-m", "annotated")
    commit = git(folder, "rev-parse", "HEAD")
    named = reference.replace("FULL", commit).replace("SHORT", commit[:8])
    assert resolve(open_repository(folder), named) == commit


@pytest.mark.parametrize(
    "reference", ["nowhere", "--output=/tmp/x", "-h", "HEAD:a.txt", "HEAD^{tree}", "", "a b", "\n"]
)
def test_what_is_no_commit_is_named_in_the_error(tmp_path: Path, reference: str) -> None:
    folder = make_repository(tmp_path / "user")
    with pytest.raises(GitError, match="names no commit"):
        resolve(open_repository(folder), reference)


def test_the_pack_holds_the_base_commit_and_nothing_of_its_history(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user", {"old.txt": b"old\n"})
    git(folder, "rm", "-q", "old.txt")
    write(folder, "dir/run.sh", b"#!/bin/sh\n")
    (folder / "link").symlink_to("dir")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "second")
    commit = git(folder, "rev-parse", "HEAD")
    base = read_base(Git(folder), commit)
    assert {path: mode for path, (mode, _) in base.entries.items()} == {"dir/run.sh": "100755", "link": "120000"}
    target = tmp_path / "target"
    target.mkdir()
    git(target, "init", "-q")
    git(target, "index-pack", "--stdin", stdin=base.pack)
    write(target, ".git/shallow", f"{commit}\n".encode())
    assert git(target, "rev-list", commit) == commit
    assert git(target, "fsck", "--strict", commit) == ""
    objects = git(target, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    assert sorted(line.split()[1] for line in objects) == ["blob", "blob", "commit", "tree", "tree"]


def test_an_empty_tree_is_a_base_like_any_other(tmp_path: Path) -> None:
    tmp_path = tmp_path / "user"
    tmp_path.mkdir()
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "nothing yet")
    assert read_base(Git(tmp_path), git(tmp_path, "rev-parse", "HEAD")).entries == {}


def test_submodules_are_no_files_and_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    lines = (
        f"160000 {'1' * 40}\tsub\0".encode() + f"100644 {git(folder, 'rev-parse', 'HEAD:a.txt')}\t".encode() + b"\xff\0"
    )
    git(folder, "update-index", "-z", "--index-info", stdin=lines)
    git(folder, "commit", "-q", "-m", "odd")
    assert read_base(Git(folder), git(folder, "rev-parse", "HEAD")).entries.keys() == {"a.txt", "\udcff"}


def test_a_shallow_clone_is_a_base_like_any_other(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "origin")
    write(folder, "a.txt", b"two\n")
    git(folder, "commit", "-q", "-am", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{folder}", str(tmp_path / "shallow"))
    assert read_base(Git(tmp_path / "shallow"), git(folder, "rev-parse", "HEAD")).entries.keys() == {"a.txt"}


def test_objects_borrowed_from_another_repository_are_found_and_the_path_may_hold_a_colon(tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "ori:gin")
    borrower = tmp_path / 'bor:row"er'
    git(tmp_path, "clone", "-q", "--shared", str(origin), str(borrower))
    base = read_base(Git(borrower, tmp_path / "objects"), git(origin, "rev-parse", "HEAD"))
    assert base.entries.keys() == {"a.txt"}


def test_a_failure_quotes_git_and_says_where(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    with pytest.raises(GitError, match=r"`git cat-file` failed in .*user \(exit code 128\): fatal: Not a valid object"):
        Git(folder).run("cat-file", "blob", "0" * 39)


def test_a_repository_that_went_away_is_named(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    git = Git(folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(GitError, match="is gone; put the repository back"):
        git.run("rev-parse", "HEAD")


def test_a_repository_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    for file in (folder, *folder.rglob("*")):
        os.chown(file, 12_345, 12_345)
    with pytest.raises(GitError, match="belongs to another user"):
        open_repository(folder)


def test_a_machine_without_git_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_repository(tmp_path / "user")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="install git"):
        Git(folder).run("rev-parse", "HEAD")


def test_programs_are_never_looked_for_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_repository(tmp_path / "user")
    write(folder, "git.sh", b"#!/bin/sh\necho planted\n")
    (folder / "git.sh").rename(folder / "git")
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    assert Git(folder).run("rev-parse", "HEAD").decode().strip() == git(folder, "rev-parse", "HEAD")
