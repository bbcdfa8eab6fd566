"""The rules of `repo`: which folder of the repository is the project."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.report import Report
from pipeline.config.settings import RepositorySettings
from stages.paths import normalise_folder
from stages.tool import RefusedError


def check_repo(document: Mapping[str, Any], report: Report) -> None:
    """Report a project folder that is no folder of a repository."""
    subdir = document.get("repo", {}).get("subdir")
    if subdir is None:
        return
    try:
        normalise_folder(subdir)
    except RefusedError as refusal:
        report.refuse("SW216", "repo.subdir", refusal.reason, "write it like `subdir: services/api`")


def repository_settings(document: Mapping[str, Any]) -> RepositorySettings:
    """Return the section's settings; the document has no problem."""
    return RepositorySettings(subdir=project_folder(document))


def project_folder(document: Mapping[str, Any]) -> str:
    """Return the project's folder, empty for the root and where none can be read."""
    try:
        folder = normalise_folder(document.get("repo", {}).get("subdir", "."))
    except RefusedError:
        return ""
    return "" if folder == "." else folder
