"""Publish a solved run as one new branch: deterministic commit, its objects, and a compare-and-swap."""

import textwrap
from collections.abc import Sequence

from pipeline.errors import GitError
from pipeline.git.command import Git
from stages.artifacts import Ticket

FOLDER = "stagewright"
_NOBODY = "0" * 40
_IDENTITY = ("Stagewright", "stagewright@localhost")
_NAMES = 100
_TITLE_CHARACTERS = 100
_BODY_CHARACTERS = 2_000


def publish(  # noqa: PLR0913 - a commit has that many facts
    git: Git, base_commit: str, tree: str, *, ticket: Ticket, run_id: str, models: Sequence[str], when: float
) -> tuple[str, str]:
    """Create the branch of a solved run and return its name and commit.

    `git` writes to the run's own object folder. `when` is seconds since the epoch: the same arguments make the
    same commit, and a branch that already has it is returned as it is.
    :raises GitError: the branch cannot be made; nothing but unreferenced objects was added then.
    """
    message = commit_message(ticket, run_id, models)
    commit = _commit(git, base_commit, tree, message, when)
    users = Git(git.repository)
    name = f"{FOLDER}/{ticket.id}"
    taken = _branches(users)
    for branch, holder in sorted(taken.items()):
        if holder == commit and (branch == name or branch.startswith(f"{name}-")):
            return branch, commit
    _hand_over(git, users, base_commit, commit)
    return _create(users, name, commit), commit


def commit_message(ticket: Ticket, run_id: str, models: Sequence[str]) -> str:
    """Return title, an excerpt of the ticket and the trailers. Pure."""
    title = textwrap.shorten(_plain(ticket.title), _TITLE_CHARACTERS, placeholder=" …") or ticket.id
    body = "\n".join(_plain(line).rstrip() for line in ticket.body.splitlines()).strip()
    if len(body) > _BODY_CHARACTERS:
        body = body[:_BODY_CHARACTERS].rstrip() + " …"
    trailers = [
        f"Stagewright-Ticket: {ticket.id}",
        f"Stagewright-Run: {run_id}",
        f"Stagewright-Models: {_plain(', '.join(models))}",
    ]
    paragraphs = [title, body, "\n".join(trailers)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _plain(text: str) -> str:
    kept = "".join(character if character.isprintable() else " " for character in text.replace("\t", "    "))
    return kept.encode(errors="replace").decode()


def _commit(git: Git, base_commit: str, tree: str, message: str, when: float) -> str:
    name, address = _IDENTITY
    date = f"@{int(when)} +0000"
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", name), ("EMAIL", address), ("DATE", date))
    }
    made = git.run("commit-tree", tree, "-p", base_commit, stdin=message.encode(), environment=identity)
    return made.decode().strip()


def _branches(users: Git) -> dict[str, str]:
    listing = users.run("for-each-ref", "--format=%(refname) %(objectname)", f"refs/heads/{FOLDER}/").decode()
    pairs = (line.split(" ") for line in listing.splitlines())
    return {reference.removeprefix("refs/heads/"): commit for reference, commit in pairs}


def _hand_over(git: Git, users: Git, base_commit: str, commit: str) -> None:
    """Put the commit and what the base does not have into the user's object store, checked on arrival."""
    objects = git.run("rev-list", "--objects", "--no-object-names", commit, f"^{base_commit}")
    pack = git.run("pack-objects", "--stdout", "-q", stdin=objects)
    users.run("index-pack", "--stdin", "--strict", stdin=pack)


def _create(users: Git, name: str, commit: str) -> str:
    for branch in (name, *(f"{name}-{number}" for number in range(2, _NAMES + 1))):
        if branch in _branches(users):
            continue
        try:
            users.run("update-ref", f"refs/heads/{branch}", commit, _NOBODY)
        except GitError as error:
            if branch in _branches(users):
                continue
            raise GitError(
                f"branch {branch} cannot be made: {error}; if a branch named `{FOLDER}` is in the way, rename it with "
                f"`git branch -m {FOLDER} <name>` and resume the run"
            ) from error
        else:
            return branch
    raise GitError(f"branches {name} to {name}-{_NAMES} all exist; delete some: `git branch -D {name}-2`")
