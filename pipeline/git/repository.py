"""Find the repository a path belongs to, and what it is. GitPython reads; it never writes or runs git here."""

from dataclasses import dataclass
from pathlib import Path

from git import Repo
from git.exc import GitError as GitPythonError

from pipeline.errors import GitError
from pipeline.git.command import Git


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with a work tree. All paths are absolute; `head` is None before the first commit.

    `git_dir` holds what belongs to this work tree (HEAD, index), `common_dir` what linked work trees share.
    """

    path: Path
    git_dir: Path
    common_dir: Path
    head: str | None
    branch: str | None

    @property
    def has_commits(self) -> bool:
        """Tell whether there is a commit to start from."""
        return self.head is not None


def open_repository(path: Path) -> Repository:
    """Return the repository `path` lies in.

    :raises GitError: no repository, a bare one, one of another user, one with SHA-256 object ids, or one whose
        work tree is somewhere else.
    """
    top, git_dir, common_dir = _located(path)
    git = Git(top)
    if git.run("rev-parse", "--show-object-format").strip() != b"sha1":
        raise GitError(f"{top} uses SHA-256 object ids, which are not supported; convert a clone to SHA-1 and use that")
    _refuse_moved_work_tree(git, top)
    return Repository(top, git_dir, common_dir, _head(git), _branch(git_dir))


def resolve(repository: Repository, reference: str) -> str:
    """Return the id of the commit a branch, tag, id or expression such as `main~2` means.

    :raises GitError: it means no commit.
    """
    commit = None if reference.startswith("-") else _commit(Git(repository.path), reference)
    if commit is None:
        raise GitError(
            f"{reference!r} names no commit in {repository.path}; `git branch -a` and `git log` list what does"
        )
    return commit


def require_head(repository: Repository) -> str:
    """Return the commit HEAD is at.

    :raises GitError: there is no commit yet.
    """
    if repository.head is None:
        raise GitError(
            f"{repository.path} has no commit, so there is nothing to start from; make one: `git add . && git commit`"
        )
    return repository.head


def _located(path: Path) -> tuple[Path, Path, Path]:
    if not path.exists():
        raise GitError(f"{path} does not exist; name the folder of a git repository")
    try:
        with Repo(path.absolute(), search_parent_directories=True) as repository:
            top, git_dir, common_dir = repository.working_tree_dir, repository.git_dir, repository.common_dir
            bare = repository.bare
    except (GitPythonError, OSError, ValueError) as error:
        raise GitError(f"{path} is not in a git repository; `git init` makes one, `--repo` names another") from error
    if bare or top is None:
        raise GitError(f"{path} is a bare repository; use a checkout of it: `git clone {path} <folder>`")
    return Path(top).resolve(), Path(git_dir).resolve(), Path(common_dir).resolve()


def _refuse_moved_work_tree(git: Git, top: Path) -> None:
    # Configuration may name any folder; the receipt would then watch over the wrong one.
    found = git.run("rev-parse", "--show-toplevel").decode(errors="surrogateescape").removesuffix("\n")
    if Path(found).resolve() != top:
        raise GitError(
            f"the configuration of {top} puts its work tree elsewhere (core.worktree: {found}); use an ordinary "
            f"checkout: `git clone {top} <folder>`"
        )


def _head(git: Git) -> str | None:
    return _commit(git, "HEAD")


def _commit(git: Git, reference: str) -> str | None:
    try:
        found = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    except GitError:
        return None
    return found.decode().strip()


def _branch(git_dir: Path) -> str | None:
    try:
        head = (git_dir / "HEAD").read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return None
    prefix = "ref: refs/heads/"
    return head.removeprefix(prefix) if head.startswith(prefix) else None
