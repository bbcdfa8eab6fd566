"""Config goes before devcontainer.json, that before lock files, those before the default; the reason is told."""

from pathlib import Path

import pytest

from pipeline.config.settings import SandboxSettings
from pipeline.environments.choice import build_network, choose
from tests.environments.commits import chosen

CONTAINER = {".devcontainer/devcontainer.json": '{"image": "theirs:1"}'}
LOCK = {"package-lock.json": "{}"}
SETUP = {"network": "setup", "setup_timeout": 600.0}


def test_an_image_of_the_config_goes_before_everything(tmp_path: Path) -> None:
    choice = chosen(tmp_path, {**CONTAINER, **LOCK}, image="mine", setup=("make",))
    assert (choice.source, choice.image, choice.setup) == ("config", "mine", ("make",))
    assert choice.line() == "mine (named at sandbox.image); setup: make"


def test_a_dockerfile_of_the_config_goes_before_the_repositorys_wishes(tmp_path: Path) -> None:
    choice = chosen(tmp_path, {**CONTAINER, **LOCK}, dockerfile="ci/Dockerfile")
    assert choice.image is None
    assert choice.dockerfile is not None
    assert (choice.dockerfile.path, choice.dockerfile.context) == ("ci/Dockerfile", "")
    assert choice.line() == "built from ci/Dockerfile (named at sandbox.dockerfile)"


def test_a_devcontainer_goes_before_lock_files(tmp_path: Path) -> None:
    choice = chosen(tmp_path, {**CONTAINER, **LOCK})
    assert choice.line() == "theirs:1 (.devcontainer/devcontainer.json names it)"


def test_a_repository_that_says_nothing_gets_the_default(tmp_path: Path) -> None:
    assert chosen(tmp_path, {}).line() == "stagewright/python (the default image)"
    assert choose(SandboxSettings(), None).line() == "stagewright/python (the default image)"


LOCKS: list[tuple[str, dict[str, str], str, tuple[str, ...]]] = [
    ("requirements", {"requirements.txt": ""}, "python", ("pip install -r requirements.txt",)),
    ("a project", {"pyproject.toml": "[project]\n"}, "python", ("pip install -e .",)),
    ("settings of tools only", {"pyproject.toml": "[tool.ruff]\n"}, "python", ()),
    ("setup.py", {"setup.py": "", "requirements.txt": ""}, "python",
     ("pip install -r requirements.txt", "pip install -e .")),
    ("uv", {"uv.lock": "", "pyproject.toml": "[project]\n"}, "python",
     ('pip install uv && UV_PROJECT_ENVIRONMENT="$VIRTUAL_ENV" uv sync --frozen --inexact',)),
    ("poetry", {"poetry.lock": ""}, "python", ("pip install poetry && poetry install --no-interaction",)),
    ("npm", {"package-lock.json": "{}", "package.json": "{}"}, "node", ("npm ci",)),
    ("npm's other name", {"npm-shrinkwrap.json": "{}"}, "node", ("npm ci",)),
    ("pnpm", {"pnpm-lock.yaml": ""}, "node",
     ("npx --yes pnpm@9 install --frozen-lockfile --package-import-method=copy",)),
    ("yarn", {"yarn.lock": "# yarn lockfile v1\n"}, "node", ("npx --yes yarn@1 install --frozen-lockfile",)),
    ("newer yarn", {"yarn.lock": "__metadata:\n  version: 8\n"}, "node",
     (("YARN_ENABLE_GLOBAL_CACHE=false YARN_NODE_LINKER=node-modules "
      "npx --yes @yarnpkg/cli-dist@4 install --immutable"),)),
    ("both languages", {"requirements.txt": "", "package-lock.json": "{}"}, "node",
     ("pip install -r requirements.txt", "npm ci")),
    ("a package without a lock", {"package.json": "{}"}, "node", ()),
    ("an editor's package beside Python", {"package.json": "{}", "setup.py": ""}, "python", ("pip install -e .",)),
]  # fmt: skip


@pytest.mark.parametrize(("files", "image", "commands"), [row[1:] for row in LOCKS], ids=[row[0] for row in LOCKS])
def test_lock_and_project_files_say_which_image_and_what_to_install(
    tmp_path: Path, files: dict[str, str], image: str, commands: tuple[str, ...]
) -> None:
    choice = chosen(tmp_path, files, **SETUP)
    assert (choice.source, choice.image, choice.setup) == ("lockfile", f"stagewright/{image}", commands)


def test_the_files_that_decided_are_named(tmp_path: Path) -> None:
    both = chosen(tmp_path, {"requirements.txt": "", "package-lock.json": "{}"})
    assert both.line() == "stagewright/node (requirements.txt and package-lock.json are at the root)"


def test_lock_files_below_the_root_decide_nothing(tmp_path: Path) -> None:
    assert chosen(tmp_path, {"web/package-lock.json": "{}"}).source == "default"


@pytest.mark.parametrize(
    "sandbox", [{}, {"network": "setup"}, {"setup_timeout": 60.0}, {"network": "none", "setup_timeout": 60.0}]
)
@pytest.mark.parametrize(
    "files", [LOCK, {".devcontainer.json": '{"image": "a", "postCreateCommand": "npm ci"}'}], ids=["lock", "container"]
)
def test_what_a_repository_proposes_is_not_run_without_the_configs_word_and_that_is_said(
    tmp_path: Path, sandbox: dict[str, object], files: dict[str, str]
) -> None:
    choice = chosen(tmp_path, files, **sandbox)
    assert choice.setup == ()
    assert f"{next(iter(files))} would have setup run `npm ci`, which is not run" in choice.notes[-1]
    assert "`network: setup` and `setup_timeout: 10m` under `sandbox` run it" in choice.notes[-1]


def test_with_the_configs_word_it_is_run_and_an_empty_setup_switches_it_off(tmp_path: Path) -> None:
    assert chosen(tmp_path / "a", LOCK, **SETUP).setup == ("npm ci",)
    assert chosen(tmp_path / "b", LOCK, **SETUP, setup=()).setup == ()
    assert chosen(tmp_path / "c", LOCK, **SETUP, setup=("make",)).setup == ("make",)
    assert chosen(tmp_path / "d", LOCK, **SETUP, image="mine").setup == ()


@pytest.mark.parametrize(
    ("sandbox", "online"),
    [
        ({"dockerfile": "D"}, False),
        ({"dockerfile": "D", "network": "setup"}, True),
        ({}, False),
        ({"network": "setup"}, False),
        ({"network": "setup", "setup_timeout": 60.0}, True),
        ({"setup_timeout": 60.0}, False),
    ],
)
def test_a_dockerfile_that_only_the_repository_names_needs_the_configs_word_and_limit_for_a_network(
    tmp_path: Path, sandbox: dict[str, object], *, online: bool
) -> None:
    files = {".devcontainer.json": '{"build": {"dockerfile": "D"}}'}
    settings = SandboxSettings(**sandbox)  # type: ignore[arg-type]
    assert build_network(chosen(tmp_path, files, **sandbox), settings) is online
