"""Looks at the files of the commit a run starts from: whether a sandbox can hold them, and the project's folder."""

from dataclasses import replace
from posixpath import dirname

from pipeline.config.words import nearest
from pipeline.environments.commit_files import CommitFiles
from pipeline.errors import GitError
from pipeline.git.command import Git
from pipeline.preflight.request import Surroundings
from pipeline.problem import Position, Problem, problem
from sandbox.acceptance import MAX_NAME_BYTES, refuse_path
from sandbox.base import UnacceptableChangeError

# What a work tree at `/workspace` may add and stay below the 4,096 bytes of a path.
LONGEST_PATH = 4_000
NAMED = 3


def look_at_base(around: Surroundings, folder: str, at: Position | None) -> Surroundings:
    """Return the surroundings with what is wrong with the base commit's files."""
    if around.repository is None or around.base is None:
        return around
    try:
        paths = tuple(CommitFiles.of(Git(around.repository), around.base).entries)
    except GitError:
        # The repository's own look says what is wrong with it.
        return around
    found = (*_unusable(paths), *_missing_folder(paths, folder, at))
    return replace(around, problems=(*around.problems, *found))


def _unusable(paths: tuple[str, ...]) -> list[Problem]:
    wrong = [(path, reason) for path in paths if (reason := _why_not(path))]
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    shown = "; ".join(f"{_short(path)} {reason}" for path, reason in wrong[:NAMED])
    hint = "start from a commit without such files: `--base REF`, or rename them"
    return [problem("SW409", f"no sandbox can hold the base commit's files: {shown}{more}", hint)] if wrong else []


def _why_not(path: str) -> str:
    encoded = path.encode(errors="surrogateescape")
    if len(encoded) > LONGEST_PATH:
        return f"is longer than {LONGEST_PATH} bytes"
    if any(len(part) > MAX_NAME_BYTES for part in encoded.split(b"/")):
        return f"has a name longer than {MAX_NAME_BYTES} bytes"
    try:
        refuse_path(path)
    except UnacceptableChangeError as refusal:
        return refusal.reason if refusal.code == "git_path" else ""
    return ""


def _short(path: str) -> str:
    shown = ascii(path)[1:-1]
    return shown if len(shown) <= 80 else f"{shown[:60]}…{shown[-15:]}"


def _missing_folder(paths: tuple[str, ...], folder: str, at: Position | None) -> list[Problem]:
    if not folder or any(path.startswith(f"{folder}/") for path in paths):
        return []
    meant = nearest(folder, sorted({dirname(path) for path in paths} - {""}))
    hint = f"did you mean `{meant}`?" if meant else "name a folder that is committed, from the repository's root"
    kind = "is a file" if folder in paths else "is no folder"
    return [problem("SW410", f"`{folder}` {kind} of the base commit", hint, at=at, key="repo.subdir")]
