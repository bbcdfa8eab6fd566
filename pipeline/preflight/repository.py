"""Looks at the repository a run starts from, and at the commit."""

from collections.abc import Sequence

from pipeline.errors import GitError
from pipeline.git.repository import Repository, open_repository, require_head, resolve
from pipeline.preflight.request import PreflightRequest, Surroundings
from pipeline.problem import Code, Position, Problem, problem
from pipeline.tickets.reading import ReadTicket

RESERVED_BRANCH = "refs/heads/stagewright"


def look_at_repository(request: PreflightRequest, tickets: Sequence[ReadTicket]) -> Surroundings:
    """Return every problem of the repository, with its path and the first ticket's base commit."""
    try:
        repository = open_repository(request.start)
        require_head(repository)
    except GitError as error:
        return Surroundings((_problem("SW403", error),))
    problems: list[Problem] = []
    if _exists(repository, RESERVED_BRANCH):
        message = "a branch named `stagewright` exists, so no branch `stagewright/<ticket>` can"
        problems.append(problem("SW405", message, "rename it: `git branch -m stagewright another-name`"))
    base = _base(repository, request, tickets, problems)
    return Surroundings(tuple(problems), repository.path, base)


def _exists(repository: Repository, reference: str) -> bool:
    try:
        resolve(repository, reference)
    except GitError:
        return False
    return True


def _base(
    repository: Repository, request: PreflightRequest, tickets: Sequence[ReadTicket], problems: list[Problem]
) -> str | None:
    """Return the commit the first ticket starts from; every ticket's must be there."""
    wanted: list[tuple[str, Position | None]] = [(request.base, None)] if request.base is not None else []
    for read in tickets if not wanted else ():
        own = read.ticket.base
        wanted.append((own or "HEAD", read.positions.get("base") if own else None))
    found: list[str | None] = []
    for reference, at in wanted or [("HEAD", None)]:
        try:
            found.append(resolve(repository, reference))
        except GitError as error:
            problems.append(_problem("SW404", error, at))
            found.append(None)
    return found[0]


def _problem(code: Code, error: GitError, at: Position | None = None) -> Problem:
    message, _, hint = str(error).partition("; ")
    return problem(code, message, hint, at=at, key="base" if at else None)
