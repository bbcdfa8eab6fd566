"""Finds the configuration: the one that was named, else the one that lies there and is not trusted with keys."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.problem import PreflightError, problem

NAME = "pipeline.yaml"
VARIABLE = "STAGEWRIGHT_CONFIG"


def locate(explicit: Path | None, environ: Mapping[str, str], cwd: Path, repository: Path | None) -> tuple[Path, bool]:
    """Return the configuration's path and whether it was named, which is what makes it trusted.

    :raises PreflightError: there is none.
    """
    named = explicit or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    if named is not None:
        return cwd / named.expanduser(), True
    folders = [cwd] if repository is None or repository == cwd else [cwd, repository]
    for folder in folders:
        if (folder / NAME).is_file():
            return folder / NAME, False
    looked = " and ".join(str(folder) for folder in folders)
    hint = "`stagewright init` writes one, --config names another"
    raise PreflightError([problem("SW101", f"there is no {NAME} in {looked}", hint)])


def repository_root(folder: Path) -> Path | None:
    """Return the nearest folder at or above this one that has a `.git`, without asking git."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
