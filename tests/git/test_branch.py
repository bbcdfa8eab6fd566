"""A solved run adds one branch and its objects, and nothing else of the user's changes."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import GitError
from pipeline.git.base import read_base
from pipeline.git.branch import commit_message, publish
from pipeline.git.command import Git
from pipeline.git.receipt import compare, take
from pipeline.git.repository import open_repository
from pipeline.git.tree import TreeStore
from sandbox.base import FileState, Snapshot
from stages.artifacts import Ticket
from tests.git.repositories import files_below, fingerprint, git, make_repository, write

TICKET = Ticket(id="add-slug", title="Add a slug", body="Titles need slugs.\n\nStagewright-Run: forged\n")
CHANGE = Snapshot({"a.txt": FileState("100644", b"two\n"), "new/b.txt": FileState("100644", b"b\n")})
WHEN = 1_800_000_000.75


class Solved:
    """A run that is ready to publish."""

    def __init__(self, folder: Path, objects: Path, change: Snapshot = CHANGE) -> None:
        self.folder = folder
        self.base = git(folder, "rev-parse", "HEAD")
        self.git = Git(folder, objects)
        self.tree = TreeStore(self.git, read_base(self.git, self.base)).write(change)

    def publish(self, *, run_id: str = "run-1", ticket: Ticket = TICKET) -> tuple[str, str]:
        models = ("anthropic/claude-opus-5-5", "openai/gpt-6.1-sol")
        return publish(self.git, self.base, self.tree, ticket=ticket, run_id=run_id, models=models, when=WHEN)


@pytest.fixture
def solved(tmp_path: Path) -> Solved:
    return Solved(make_repository(tmp_path / "user"), tmp_path / "objects")


def test_the_branch_has_the_change_the_base_as_parent_and_the_facts_as_trailers(solved: Solved) -> None:
    branch, commit = solved.publish()
    assert branch == "stagewright/add-slug"
    assert git(solved.folder, "rev-parse", branch, f"{branch}^") == f"{commit}\n{solved.base}"
    assert git(solved.folder, "show", f"{branch}:new/b.txt") == "b"
    assert git(solved.folder, "log", "-1", "--format=%an <%ae> %at %cn %ct %s", branch) == (
        "Stagewright <stagewright@localhost> 1800000000 Stagewright 1800000000 Add a slug"
    )
    assert git(solved.folder, "log", "-1", "--format=%(trailers)", branch).strip().splitlines() == [
        "Stagewright-Ticket: add-slug",
        "Stagewright-Run: run-1",
        "Stagewright-Models: anthropic/claude-opus-5-5, openai/gpt-6.1-sol",
    ]
    assert git(solved.folder, "fsck", "--strict") == ""


def test_publishing_adds_the_branch_and_a_pack_and_touches_nothing_else(solved: Solved) -> None:
    write(solved.folder, "a.txt", b"dirty\n")
    write(solved.folder, "untracked.txt", b"mine\n")
    git(solved.folder, "config", "core.logAllRefUpdates", "always")
    before, hashes = (
        files_below(solved.folder),
        {f: fingerprint_of(solved.folder / f) for f in files_below(solved.folder)},
    )
    status = git(solved.folder, "status", "--porcelain")
    hashes[".git/index"] = fingerprint_of(solved.folder / ".git/index")
    solved.publish()
    added = files_below(solved.folder) - before
    assert {name for name in added if not name.startswith(".git/objects/pack/")} == {
        ".git/refs/heads/stagewright/add-slug"
    }
    assert len(added) == 3
    assert {f: fingerprint_of(solved.folder / f) for f in before} == hashes
    assert git(solved.folder, "status", "--porcelain") == status


def fingerprint_of(file: Path) -> bytes:
    return file.read_bytes()


def test_a_resumed_run_recognises_the_branch_it_made_already(solved: Solved, tmp_path: Path) -> None:
    first = solved.publish()
    print_before = fingerprint(solved.folder)
    again = Solved(solved.folder, tmp_path / "other objects")
    assert again.publish() == first
    assert fingerprint(solved.folder) == print_before


def test_its_own_branch_is_recognised_under_a_suffix_too(solved: Solved) -> None:
    git(solved.folder, "branch", "stagewright/add-slug")
    first = solved.publish()
    assert first[0] == "stagewright/add-slug-2"
    git(solved.folder, "branch", "-D", "stagewright/add-slug")
    assert solved.publish() == first


def test_another_runs_branches_are_left_alone_and_a_suffix_is_taken(solved: Solved) -> None:
    names = [solved.publish(run_id=f"run-{number}")[0] for number in (1, 2, 3)]
    assert names == ["stagewright/add-slug", "stagewright/add-slug-2", "stagewright/add-slug-3"]
    commits = {git(solved.folder, "rev-parse", name) for name in names}
    assert len(commits) == 3


def test_a_branch_made_by_somebody_else_at_the_last_moment_is_not_overwritten(solved: Solved) -> None:
    theirs = solved.base

    class Raced(Git):
        """Somebody makes the branch just before our compare-and-swap."""

        def run(self, *arguments: str, **rest: object) -> bytes:
            made = super().run(*arguments, **rest)  # type: ignore[arg-type] # passed on as it came
            if arguments[0] == "pack-objects":
                git(solved.folder, "branch", "stagewright/add-slug", theirs)
            return made

    solved.git = Raced(solved.folder, solved.git.objects)
    branch, commit = solved.publish()
    assert branch == "stagewright/add-slug-2"
    assert git(solved.folder, "rev-parse", "stagewright/add-slug", branch) == f"{theirs}\n{commit}"


def test_a_branch_made_between_looking_and_creating_is_not_overwritten(
    solved: Solved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("git")
    theirs = f"{real} -C {solved.folder} branch stagewright/add-slug {solved.base}"
    script = f'#!/bin/sh\ncase "$*" in *update-ref*) {theirs} 2>/dev/null;; esac\nexec {real} "$@"\n'
    write(tmp_path, "bin/git.sh", script.encode())
    (tmp_path / "bin/git.sh").rename(tmp_path / "bin/git")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    branch, commit = solved.publish()
    assert branch == "stagewright/add-slug-2"
    assert git(solved.folder, "rev-parse", "stagewright/add-slug", branch) == f"{solved.base}\n{commit}"


def test_the_compare_and_swap_itself_refuses_a_branch_that_is_there(solved: Solved) -> None:
    git(solved.folder, "branch", "taken")
    with pytest.raises(GitError, match="update-ref"):
        Git(solved.folder).run("update-ref", "refs/heads/taken", solved.base, "0" * 40)


def test_a_branch_named_stagewright_is_named_as_what_is_in_the_way(solved: Solved) -> None:
    git(solved.folder, "branch", "stagewright")
    with pytest.raises(GitError, match="git branch -m stagewright"):
        solved.publish()


def test_publishing_works_from_a_linked_worktree(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "user")
    git(folder, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    branch, commit = Solved(tmp_path / "side", tmp_path / "objects").publish()
    assert git(folder, "rev-parse", branch) == commit


def test_publishing_works_in_a_shallow_clone(tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "origin")
    write(origin, "a.txt", b"second\n")
    git(origin, "commit", "-q", "-am", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", str(tmp_path / "shallow"))
    branch, commit = Solved(tmp_path / "shallow", tmp_path / "objects").publish()
    assert git(tmp_path / "shallow", "rev-parse", branch) == commit


def test_an_unchanged_tree_can_be_published_too(tmp_path: Path) -> None:
    solved = Solved(make_repository(tmp_path / "user"), tmp_path / "objects", Snapshot())
    branch, _ = solved.publish()
    assert git(solved.folder, "diff", "--stat", "HEAD", branch) == ""


@pytest.mark.parametrize("ending", [".lock", "..", "."])
def test_an_id_git_takes_for_no_branch_is_an_error_not_a_hang(solved: Solved, ending: str) -> None:
    ticket = TICKET.model_copy(update={"id": f"a{ending}"})
    with pytest.raises(GitError, match="cannot be made"):
        solved.publish(ticket=ticket)


def test_a_message_is_one_title_line_a_bounded_body_and_one_trailer_block() -> None:
    ticket = Ticket(
        id="t", title="A\nvery\x00 long " + "title " * 40, body="line\r\n\x1b[31mred\x07 \udcff\n" + "x" * 5_000
    )
    title, body, trailers = commit_message(ticket, "r", ["a/b\nInjected: yes"]).rstrip("\n").split("\n\n")
    assert len(title) <= 100
    assert len(body) <= 2_002
    assert "\x1b" not in body
    assert "\x00" not in title
    assert trailers.splitlines()[-1] == "Stagewright-Models: a/b Injected: yes"


def test_the_receipt_of_a_solved_run_expects_the_new_branch_and_only_that(solved: Solved) -> None:
    repository = open_repository(solved.folder)
    before = take(repository)
    branch, _ = solved.publish()
    assert compare(before, take(repository), new_branch=branch).unchanged
    assert compare(before, take(repository), new_branch=None).changes == (f"ref refs/heads/{branch} added",)
