"""Commits with files in them, as the choice of an environment reads them."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config.settings import SandboxSettings
from pipeline.environments.choice import Choice, choose
from pipeline.environments.commit_files import CommitFiles
from pipeline.git.command import Git
from tests.git.repositories import git, make_repository


def commit(folder: Path, files: Mapping[str, str]) -> CommitFiles:
    """Commit the files, and leave a work tree that says something else."""
    repository = make_repository(folder / "repository", {path: text.encode() for path, text in files.items()})
    for path in files:
        (repository / path).write_text("not what was committed\n", encoding="utf-8")
    return CommitFiles.of(Git(repository), git(repository, "rev-parse", "HEAD"))


def chosen(folder: Path, files: Mapping[str, str], **sandbox: object) -> Choice:
    return choose(SandboxSettings(**sandbox), commit(folder, {"README": "x\n", **files}))  # type: ignore[arg-type]
