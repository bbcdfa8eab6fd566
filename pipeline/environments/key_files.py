"""Lists the files of a commit that say what setup installs: when one changes, setup runs again."""

import re
from collections.abc import Mapping, Sequence
from posixpath import basename, join, normpath

from pipeline.environments.commit_files import CommitFiles

NAMES = frozenset({
    "pyproject.toml", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile", "Pipfile.lock",
    "environment.yml", "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml",
    "pnpm-workspace.yaml", "yarn.lock", ".npmrc", ".yarnrc", ".yarnrc.yml", "Cargo.toml", "Cargo.lock", "go.mod",
    "go.sum", "Gemfile", "Gemfile.lock",
})  # fmt: skip
REQUIREMENTS = re.compile(r"(requirements|constraints)[^/]*\.(txt|in)|[^/]*requirements\.txt")
WORDS = re.compile(r"[^\s'\"=;&|<>()\[\]]+")


def key_files(commands: Sequence[str], files: CommitFiles, folder: str = "") -> Mapping[str, bytes]:
    """Return path -> object id of lock and project files anywhere, and of what the commands name, folders whole.

    The commands run in `folder` and name files from there.
    """
    words = [word for command in commands for word in WORDS.findall(command)]
    named = {normpath(join(folder, word)) for word in words} - {".", folder}
    return {
        path: identifier.encode()
        for path, (_, identifier) in files.entries.items()
        if _counts(path) or path in named or any(path.startswith(f"{folder}/") for folder in named)
    }


def _counts(path: str) -> bool:
    name = basename(path)
    if "node_modules/" in path:
        return False
    return name in NAMES or REQUIREMENTS.fullmatch(name) is not None or "/requirements/" in f"/{path}"
