"""Tells from the files at a repository's root which image it needs and what setup would install."""

from collections.abc import Iterable, Mapping

from pipeline.environments.commit_files import CommitFiles
from sandbox.recipe import NODE, PYTHON
from stages.artifacts import Frozen

UV = 'pip install uv && UV_PROJECT_ENVIRONMENT="$VIRTUAL_ENV" uv sync --frozen --inexact'
POETRY = "pip install poetry && poetry install --no-interaction"
PYTHON_LOCKS = {"uv.lock": UV, "poetry.lock": POETRY}
PYTHON_PROJECTS = ("pyproject.toml", "setup.py")
YARN = "npx --yes yarn@1 install --frozen-lockfile"
NEWER_YARN = (
    "YARN_ENABLE_GLOBAL_CACHE=false YARN_NODE_LINKER=node-modules npx --yes @yarnpkg/cli-dist@4 install --immutable"
)
NODE_LOCKS = {
    "package-lock.json": "npm ci",
    "npm-shrinkwrap.json": "npm ci",
    "pnpm-lock.yaml": "npx --yes pnpm@9 install --frozen-lockfile --package-import-method=copy",
    "yarn.lock": YARN,
}


class Detected(Frozen):
    """What was found: the files that decided, the image, and the commands they propose for setup."""

    marks: tuple[str, ...]
    image: str
    commands: tuple[str, ...]


def detect(files: CommitFiles) -> Detected | None:
    """Return what the root's lock and project files ask for; None when there are none that are known."""
    python = _python(files)
    node = _node(files, alone=not python)
    if not python and not node:
        return None
    commands = [*python.values(), *node.values()]
    return Detected(
        marks=(*python, *node),
        image=NODE.name if node else PYTHON.name,
        commands=tuple(dict.fromkeys(filter(None, commands))),
    )


def _python(files: CommitFiles) -> Mapping[str, str]:
    """Return the files that count, each with its command: a lock says all, else requirements and the project itself."""
    locked = _first(PYTHON_LOCKS, files)
    if locked:
        return {locked: PYTHON_LOCKS[locked]}
    found = {"requirements.txt": "pip install -r requirements.txt"} if "requirements.txt" in files.entries else {}
    project = _first(PYTHON_PROJECTS, files)
    if project:
        found[project] = "pip install -e ." if _installable(project, files) else ""
    return found


def _node(files: CommitFiles, *, alone: bool) -> Mapping[str, str]:
    locked = _first(NODE_LOCKS, files)
    if locked == "yarn.lock" and "__metadata:" in (files.text(locked) or ""):
        return {locked: NEWER_YARN}
    if locked:
        return {locked: NODE_LOCKS[locked]}
    # Beside a Python project a package.json without a lock is most often there for an editor's tools.
    return {"package.json": ""} if alone and "package.json" in files.entries else {}


def _installable(project: str, files: CommitFiles) -> bool:
    text = files.text(project) or ""
    return project == "setup.py" or "[build-system]" in text or "[project]" in text


def _first(names: Iterable[str], files: CommitFiles) -> str | None:
    return next((name for name in names if name in files.entries), None)
