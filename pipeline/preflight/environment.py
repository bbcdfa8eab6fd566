"""Works out which environment a run would have, from the config and the commit it starts from."""

from dataclasses import replace

from pipeline.config.settings import SandboxSettings
from pipeline.environments.choice import choose
from pipeline.environments.commit_files import CommitFiles
from pipeline.errors import GitError
from pipeline.git.command import Git
from pipeline.preflight.request import Surroundings


def with_choice(around: Surroundings, sandbox: SandboxSettings | None, folder: str = "") -> Surroundings:
    """Return the surroundings with the choice; there is none where config or commit could not be read."""
    if sandbox is None:
        return around
    if around.repository is None or around.base is None:
        return replace(around, choice=choose(sandbox, None))
    try:
        files = CommitFiles.of(Git(around.repository), around.base)
        return replace(around, choice=choose(sandbox, files, folder))
    except GitError:
        # The repository's own look says what is wrong with it.
        return replace(around, choice=choose(sandbox, None))
