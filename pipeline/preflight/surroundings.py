"""Looks at what a run needs around it: the repository, its base commit, Docker and the image."""

from collections.abc import Sequence

from pipeline.config.load import Loaded
from pipeline.errors import GitError
from pipeline.git.repository import Repository, open_repository, require_head, resolve
from pipeline.preflight.request import PreflightRequest, Surroundings
from pipeline.problem import Position, Problem, problem
from pipeline.ticket import ReadTicket
from sandbox.base import SandboxUnavailableError
from sandbox.engine import engine_problem
from sandbox.image import DEFAULT_IMAGE, image_id

RESERVED_BRANCH = "refs/heads/stagewright"
IMAGE_KEY = "sandbox.image"


async def look_around(request: PreflightRequest, loaded: Loaded | None, tickets: Sequence[ReadTicket]) -> Surroundings:
    """Return every problem of the surroundings, with the repository and the first ticket's base commit."""
    problems: list[Problem] = []
    repository = _repository(request, problems)
    bases = _bases(repository, request, tickets, problems) if repository and repository.has_commits else []
    if request.docker:
        problems += await _docker(loaded)
    return Surroundings(tuple(problems), repository.path if repository else None, next(iter(bases), None))


def _repository(request: PreflightRequest, problems: list[Problem]) -> Repository | None:
    try:
        repository = open_repository(request.start)
        require_head(repository)
    except GitError as error:
        problems.append(_as_problem("SW403", error))
        return None
    if _exists(repository, RESERVED_BRANCH):
        message = "a branch named `stagewright` exists, so no branch `stagewright/<ticket>` can"
        problems.append(problem("SW405", message, "rename it: `git branch -m stagewright another-name`"))
    return repository


def _exists(repository: Repository, reference: str) -> bool:
    try:
        resolve(repository, reference)
    except GitError:
        return False
    return True


def _bases(
    repository: Repository, request: PreflightRequest, tickets: Sequence[ReadTicket], problems: list[Problem]
) -> list[str]:
    """Return the commit each ticket starts from; without a ticket the one a ticket would start from."""
    wanted: list[tuple[str, Position | None]] = []
    for read in tickets:
        own = read.ticket.base if request.base is None else None
        wanted.append((own or request.base or "HEAD", read.positions.get("base") if own else None))
    found = []
    for reference, at in wanted or [(request.base or "HEAD", None)]:
        try:
            found.append(resolve(repository, reference))
        except GitError as error:
            problems.append(_as_problem("SW404", error, at))
    return found


def _as_problem(code: str, error: GitError, at: Position | None = None) -> Problem:
    message, _, hint = str(error).partition("; ")
    return problem("SW404" if code == "SW404" else "SW403", message, hint, at=at, key="base" if at else None)


async def _docker(loaded: Loaded | None) -> list[Problem]:
    silent = await engine_problem()
    if silent is not None:
        return [problem("SW401", silent, "`stagewright doctor` looks again")]
    image = loaded.partial.image if loaded else None
    if image is None or loaded is None:
        return []
    try:
        missing = await image_id(image) is None
    except SandboxUnavailableError as error:
        return [problem("SW401", str(error), "`stagewright doctor` looks again")]
    build = "build it: `stagewright sandbox build`"
    own = f"`docker build -t {image} .` or `docker pull {image}`; it needs at least Python 3 and git"
    at = loaded.positions.get(IMAGE_KEY)
    hint = build if image == DEFAULT_IMAGE else own
    return [problem("SW402", f"the image `{image}` is not there", hint, at=at, key=IMAGE_KEY)] if missing else []
