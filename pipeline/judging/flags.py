"""Which changes a person should look at, because they decide what runs elsewhere: CI, hooks, tests, builds. Pure."""

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from fnmatch import fnmatchcase
from typing import Any, Literal

from stages.artifacts import Frozen

FlagKind = Literal["ci", "hook", "tests", "build", "container"]
Sections = Mapping[str, Any]


class Flag(Frozen):
    """A changed file that decides what runs, and `reason`, a few words on what it decides."""

    path: str
    kind: FlagKind
    change: Literal["added", "modified", "deleted"]
    reason: str


# A pattern with a slash at its end is a folder, others are names; both count at any depth.
_PATTERNS: Mapping[tuple[FlagKind, str], tuple[str, ...]] = {
    ("ci", "continuous integration"): (
        ".github/workflows/", ".github/actions/", ".gitea/workflows/", ".forgejo/workflows/",
        ".gitlab-ci.yml", ".gitlab-ci.yaml", ".gitlab/", ".gitlab-ci/", ".circleci/", ".travis.yml",
        "azure-pipelines*.yml", "azure-pipelines*.yaml", ".azure-pipelines/", ".azuredevops/",
        "jenkinsfile*", "*.jenkinsfile", "bitbucket-pipelines.yml", ".buildkite/", ".drone.yml", ".drone.star",
        ".woodpecker.yml", ".woodpecker.yaml", ".woodpecker/", "appveyor.yml", ".appveyor.yml", ".cirrus.yml",
        ".cirrus.star", ".teamcity/", ".semaphore/", "buildspec*.yml", "cloudbuild*.yaml", "cloudbuild*.yml",
        ".builds/", ".build.yml", ".ci/", ".tekton/", "wercker.yml", "codemagic.yaml", ".zuul.yaml", ".zuul.d/",
        ".github/dependabot.yml", "renovate.json*", "codeowners",
    ),
    ("ci", "how Stagewright runs tickets here"): ("pipeline.yaml",),
    ("hook", "git hooks"): (
        ".husky/", ".huskyrc*", "husky.config.*", ".pre-commit-config.yaml", ".pre-commit-config.yml",
        ".pre-commit-hooks.yaml", "lefthook*.yml", "lefthook*.yaml", ".lefthook*", ".githooks/", ".git-hooks/",
        "githooks/", ".hooks/", ".overcommit.yml", ".lintstagedrc*", "lint-staged.config.*", ".simple-git-hooks.*",
        "commitlint.config.*", ".commitlintrc*",
    ),
    ("hook", "filters and drivers git runs"): (".gitattributes", ".lfsconfig"),
    ("hook", "what a shell or an editor runs by itself"): (".envrc", ".vscode/", ".idea/", ".nvim.lua", ".exrc"),
    ("tests", "how tests are found and run"): (
        "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "noxfile.py",
        ".coveragerc", "sitecustomize.py", "usercustomize.py", "*.pth", "jest.config.*", "jest.setup.*", "jest-*.js",
        "vitest.config.*", "vitest.workspace.*", "vitest.setup.*", ".mocharc*", "karma.conf.*", "ava.config.*",
        "cypress.config.*", "playwright.config.*", "wdio.conf.*", ".nycrc*", "phpunit.xml*", ".rspec", "codecov.yml",
        ".codecov.yml",
    ),
    ("build", "what a build or task runner runs"): (
        "makefile", "gnumakefile", "makefile.*", "*.mk", "justfile", ".justfile", "taskfile.y*ml", "rakefile",
        "setup.py", "build.gradle*", "gulpfile.*", "gruntfile.*", "build.rs", ".npmrc", ".yarnrc*", ".pnpmfile.*",
    ),
    ("container", "how containers are built"): (
        "dockerfile*", "*.dockerfile", "containerfile*", "docker-compose*.y*ml", "compose*.y*ml", ".dockerignore",
        ".devcontainer/", ".devcontainer.json",
    ),
}  # fmt: skip
_PYPROJECT: Mapping[str, FlagKind] = {
    "tool.pytest": "tests",
    "tool.coverage": "tests",
    "tool.tox": "tests",
    "tool.nox": "tests",
    "tool.hatch": "build",
    "tool.setuptools": "build",
    "tool.poe": "build",
    "tool.taskipy": "build",
    "tool.pdm": "build",
    "build-system": "build",
}
_SETUP_CFG: Mapping[str, FlagKind] = {
    "tool:pytest": "tests",
    "pytest": "tests",
    "coverage:": "tests",
    "aliases": "build",
}
_PACKAGE: Mapping[str, FlagKind] = {
    "husky": "hook",
    "lint-staged": "hook",
    "pre-commit": "hook",
    "simple-git-hooks": "hook",
    "gitHooks": "hook",
    "jest": "tests",
    "vitest": "tests",
    "mocha": "tests",
    "ava": "tests",
    "nyc": "tests",
    "c8": "tests",
    "scripts": "build",
    "workspaces": "build",
}


def flags(changes: Iterable[tuple[str, bytes | None, bytes | None]]) -> tuple[Flag, ...]:
    """Return the flags of changed files, given as path, content before and content after (None: no such file)."""
    return tuple(found for path, before, after in changes if (found := flag(path, before, after)) is not None)


def flag(path: str, before: bytes | None, after: bytes | None) -> Flag | None:
    """Return the flag of one changed file, None for a file that decides nothing or whose deciding part is the same."""
    if before == after:
        return None
    found = _by_name(path) or _by_sections(path, before, after)
    if found is None:
        return None
    kind, reason = found
    change: Literal["added", "modified", "deleted"] = "modified"
    if before is None or after is None:
        change = "added" if before is None else "deleted"
    return Flag(path=path, kind=kind, change=change, reason=reason)


def _by_name(path: str) -> tuple[FlagKind, str] | None:
    for what, patterns in _PATTERNS.items():
        if any(_matches(path.casefold(), pattern) for pattern in patterns):
            return what
    return None


def _matches(path: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        # A file or a link in the place of the folder decides as much.
        return f"/{pattern}" in f"/{path}/"
    depth = pattern.count("/") + 1
    return fnmatchcase("/".join(path.split("/")[-depth:]), pattern)


def _by_sections(path: str, before: bytes | None, after: bytes | None) -> tuple[FlagKind, str] | None:
    rule = _READERS.get(path.rpartition("/")[2].casefold())
    if rule is None:
        return None
    read, kinds = rule
    try:
        was, now = read(before or b""), read(after or b"")
    except (ValueError, ConfigError, RecursionError):
        return "build", "it cannot be read, so what it decides is not known"
    touched = {name: kind for name, kind in kinds.items() if _part(was, name) != _part(now, name)}
    if not touched:
        return None
    order: tuple[FlagKind, ...] = ("ci", "hook", "tests", "build", "container")
    return min(touched.values(), key=order.index), f"its {', '.join(touched)} changed"


def _part(sections: Sections, name: str) -> Any:
    if name.endswith(":"):
        return {key: value for key, value in sections.items() if key.startswith(name)}
    place: Any = sections
    for word in name.split("."):
        place = place.get(word) if isinstance(place, Mapping) else None
    return place


def _toml(content: bytes) -> Sections:
    return tomllib.loads(content.decode())


def _json(content: bytes) -> Sections:
    value = json.loads(content) if content else {}
    return value if isinstance(value, dict) else {}


def _ini(content: bytes) -> Sections:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read_string(content.decode())
    return {name: dict(parser[name]) for name in parser.sections()}


_READERS: Mapping[str, tuple[Callable[[bytes], Sections], Mapping[str, FlagKind]]] = {
    "pyproject.toml": (_toml, _PYPROJECT),
    "setup.cfg": (_ini, _SETUP_CFG),
    "package.json": (_json, _PACKAGE),
}
