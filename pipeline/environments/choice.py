"""Chooses the image of a run: the config's, else devcontainer.json's, else that of lock files, else the default."""

from typing import Literal

from pipeline.config.settings import SandboxSettings
from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.devcontainer import read_devcontainer
from pipeline.environments.dockerfile import Dockerfile
from pipeline.environments.lock_files import detect
from sandbox.recipe import PYTHON
from stages.artifacts import Frozen

Source = Literal["config", "devcontainer", "lockfile", "default"]


class Choice(Frozen):
    """The environment of a run: exactly one of `image` and `dockerfile`, and what is done on it.

    `key` is the config key that chose it; `setup` are the commands that will run; `notes` say what was left out.
    """

    source: Source
    reason: str
    image: str | None = None
    dockerfile: Dockerfile | None = None
    variables: dict[str, str] = {}
    setup: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    key: str | None = None

    @property
    def name(self) -> str:
        """Return the image, or the Dockerfile it is built from, in words."""
        return f"built from {self.dockerfile.path}" if self.dockerfile else self.image or ""

    def line(self) -> str:
        """Return the choice and its reason as one line."""
        setup = f"; setup: {' && '.join(self.setup)}" if self.setup else ""
        return f"{self.name} ({self.reason}){setup}"


def choose(sandbox: SandboxSettings, files: CommitFiles | None, folder: str = "") -> Choice:
    """Return the environment that config and base commit ask for; without `files` only the config is asked.

    `folder` is the project's, where lock files are looked for; empty for the root.
    """
    setup = sandbox.setup or ()
    if sandbox.image is not None:
        reason = "named at sandbox.image"
        return Choice(source="config", reason=reason, image=sandbox.image, setup=setup, key="sandbox.image")
    if sandbox.dockerfile is not None:
        dockerfile = Dockerfile(path=sandbox.dockerfile, context="")
        reason = "named at sandbox.dockerfile"
        return Choice(source="config", reason=reason, dockerfile=dockerfile, setup=setup, key="sandbox.dockerfile")
    return _detected(sandbox, files, folder) if files is not None else _default(setup, ())


def build_network(choice: Choice, sandbox: SandboxSettings) -> bool:
    """Say whether a Dockerfile is built with a network; one that only the repository names needs the limits too."""
    return sandbox.network == "setup" and (choice.source == "config" or sandbox.setup_timeout is not None)


def _detected(sandbox: SandboxSettings, files: CommitFiles, folder: str) -> Choice:
    container, notes = read_devcontainer(files)
    if container is not None:
        setup, more = _setup(sandbox, container.commands, container.path)
        return Choice(
            source="devcontainer",
            reason=f"{container.path} names it",
            image=container.image,
            dockerfile=container.dockerfile,
            variables=container.variables,
            setup=setup,
            notes=(*notes, *more),
        )
    found = detect(files.below(folder))
    if found is None:
        return _default(sandbox.setup or (), notes)
    setup, more = _setup(sandbox, found.commands, " and ".join(found.marks))
    marks = " and ".join(found.marks)
    reason = f"{marks} {'is' if len(found.marks) == 1 else 'are'} {f'in {folder}' if folder else 'at the root'}"
    return Choice(source="lockfile", reason=reason, image=found.image, setup=setup, notes=(*notes, *more))


def _default(setup: tuple[str, ...], notes: tuple[str, ...]) -> Choice:
    return Choice(source="default", reason="the default image", image=PYTHON.name, setup=setup, notes=notes)


def _setup(sandbox: SandboxSettings, proposed: tuple[str, ...], who: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands that run, and notes. What a repository proposes needs the config's word, and its limits."""
    if sandbox.setup is not None or not proposed:
        return sandbox.setup or (), ()
    words = " && ".join(proposed)
    if sandbox.network != "none" and sandbox.setup_timeout is not None:
        return proposed, (f"setup was proposed by {who}; `setup: []` under `sandbox` switches it off",)
    advice = f"`network: setup` and `setup_timeout: 10m` under `sandbox` run it, `setup: {[*proposed]}` says so itself"
    return (), (f"{who} would have setup run `{words}`, which is not run without the config's word: {advice}",)
