"""Changes to CI, hooks, tests and builds are flagged; others, and harmless parts of shared files, are not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import RunEnded
from pipeline.judging.flags import Flag, flag, flags
from pipeline.reporting.document import document
from pipeline.reporting.report import extended, markdown
from pipeline.reporting.summary import summary
from tests.report.story import CALLS, SOLVED, archived

BY_NAME = [
    *[("ci", path) for path in (
        ".github/workflows/ci.yml", ".github/workflows/deep/er.yaml", ".github/actions/a/action.yml", ".gitlab-ci.yml",
        ".gitlab/ci/build.yml", ".circleci/config.yml", ".travis.yml", "azure-pipelines-x.yml",
        "Jenkinsfile", "Jenkinsfile.release", "bitbucket-pipelines.yml", ".buildkite/pipeline.yml", ".drone.yml",
        ".woodpecker.yml", ".woodpecker/test.yaml", "appveyor.yml", ".cirrus.yml", ".forgejo/workflows/x.yml",
        ".gitea/workflows/x.yml", "buildspec.yml", "cloudbuild.yaml", ".github/dependabot.yml", "CODEOWNERS",
        ".ci/run", "pipeline.yaml", ".GitHub/Workflows/x.yml", ".github/workflows",
    )],
    *[("hook", path) for path in (
        ".husky/pre-commit", "web/.husky/pre-push", ".pre-commit-config.yaml", ".pre-commit-hooks.yaml", "lefthook.yml",
        ".lefthook-local.yml", ".githooks/pre-commit", ".overcommit.yml", ".lintstagedrc", ".lintstagedrc.json",
        "lint-staged.config.mjs", ".gitattributes", "src/.gitattributes", ".lfsconfig", ".envrc", ".vscode/tasks.json",
    )],
    *[("tests", path) for path in (
        "conftest.py", "tests/unit/conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "noxfile.py", ".coveragerc",
        "sitecustomize.py", "jest.config.js", "packages/a/jest.config.ts", "jest.setup.ts", "vitest.config.mts",
        "vitest.workspace.ts", ".mocharc.json", "karma.conf.js", "playwright.config.ts", "phpunit.xml.dist", ".rspec",
    )],
    *[("build", path) for path in (
        "Makefile", "sub/makefile", "GNUmakefile", "rules.mk", "justfile", "Taskfile.yml", "setup.py", "Rakefile",
        "build.gradle.kts", "build.rs",
    )],
    *[("container", path) for path in (
        "Dockerfile", "docker/Dockerfile.dev", "app.dockerfile", "docker-compose.yml", "compose.override.yaml",
        ".devcontainer/devcontainer.json", ".devcontainer.json", ".dockerignore", "Containerfile",
    )],
]  # fmt: skip
HARMLESS = [
    "src/app.py", "README.md", "docs/github/workflows.md", "github/workflows/x.yml", "my_conftest.py",
    "tests/test_app.py", "jest.md", "Makefiles/readme.txt", "src/docker.py", "husky.md", "ci.yml", "docs/tox.ini.md",
    "requirements.txt", "src/jenkins.py", ".github/ISSUE_TEMPLATE.md", "package-lock.json",
]  # fmt: skip
PYPROJECT = '[project]\nname = "x"\n[tool.ruff]\nline-length = 100\n'
BY_SECTION = [
    ("pyproject.toml", PYPROJECT, PYPROJECT + '[tool.pytest.ini_options]\naddopts = "-x"\n', "tests", "tool.pytest"),
    ("pyproject.toml", PYPROJECT, PYPROJECT + "[tool.coverage.run]\nomit = ['a']\n", "tests", "tool.coverage"),
    ("a/pyproject.toml", PYPROJECT, PYPROJECT + '[build-system]\nrequires = ["evil"]\n', "build", "build-system"),
    ("pyproject.toml", PYPROJECT, PYPROJECT + "[tool.pytest\n", "build", "cannot be read"),
    ("pyproject.toml", PYPROJECT, PYPROJECT.replace('"x"', '"y"'), None, ""),
    ("pyproject.toml", PYPROJECT, PYPROJECT.replace("100", "120"), None, ""),
    ("setup.cfg", "[metadata]\nname = x\n", "[metadata]\nname = x\n[tool:pytest]\na = -x\n", "tests", "tool:pytest"),
    ("setup.cfg", "[a]\n", "[a]\n[coverage:run]\nomit = a\n", "tests", "coverage:"),
    ("setup.cfg", "[metadata]\nname = x\n", "[metadata]\nname = y\n", None, ""),
    ("setup.cfg", "[a]\n", "no section\n", "build", "cannot be read"),
    ("package.json", '{"name": "x"}', '{"name": "x", "scripts": {"test": "true"}}', "build", "scripts"),
    ("web/package.json", '{"jest": {}}', '{"jest": {"testMatch": []}}', "tests", "jest"),
    ("package.json", "{}", '{"scripts": {}, "husky": {"hooks": {}}}', "hook", "husky, scripts"),
    ("package.json", '{"scripts": {"a": "b"}}', "[]", "build", "scripts"),
    ("package.json", '{"a": 1}', '{"a": ', "build", "cannot be read"),
    ("package.json", "{}", "[" * 100_000, "build", "cannot be read"),
    ("package.json", '{"dependencies": {}}', '{"dependencies": {"a": "1"}}', None, ""),
    ("package.json", '{"scripts": {"a": "b"}}', '{"scripts":   {"a": "b"}}', None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "path"), BY_NAME)
def test_a_file_that_decides_what_runs_is_flagged_by_its_name(kind: str, path: str) -> None:
    assert [(f.kind, f.change) for f in flags([(path, b"1", b"2"), (path, None, b"2"), (path, b"1", None)])] == [
        (kind, "modified"),
        (kind, "added"),
        (kind, "deleted"),
    ]


@pytest.mark.parametrize("path", HARMLESS)
def test_an_ordinary_file_is_not_flagged(path: str) -> None:
    assert flag(path, b"1", b"2") is None


@pytest.mark.parametrize(("path", "before", "after", "kind", "words"), BY_SECTION)
def test_of_a_shared_file_only_the_deciding_parts_are_flagged(
    path: str, before: str, after: str, kind: str | None, words: str
) -> None:
    found = flag(path, before.encode(), after.encode())
    assert (found.kind if found else None) == kind
    assert words in (found.reason if found else "")


def test_a_new_or_deleted_shared_file_is_flagged_for_what_it_decides() -> None:
    scripts = json.dumps({"scripts": {"test": "jest"}}).encode()
    assert [f.change for f in flags([("package.json", None, scripts), ("package.json", scripts, None)])] == [
        "added",
        "deleted",
    ]
    assert flag("package.json", None, b"{}") is None


@given(
    path=st.sampled_from(["package.json", "setup.cfg", "pyproject.toml", "conftest.py", "a.py"]),
    before=st.none() | st.binary(max_size=60),
    after=st.none() | st.binary(max_size=60),
)
def test_no_content_breaks_it_and_no_change_is_no_flag(path: str, before: bytes | None, after: bytes | None) -> None:
    flag(path, before, after)
    assert flag(path, after, after) is None


def test_report_and_summary_show_the_flags() -> None:
    found = tuple(
        Flag(path=f"{number}/conftest.py", kind="tests", change="added", reason="how tests are found")
        for number in range(6)
    )
    events = [e.model_copy(update={"flags": found}) if isinstance(e, RunEnded) else e for e in SOLVED]
    run = archived(events, CALLS)
    text = markdown(run, resume=None)
    assert "## Look at these changes yourself" in text
    assert "| `0/conftest.py` | added | tests | how tests are found |" in text
    assert extended({}, run)["flags"][0] == {
        "path": "0/conftest.py",
        "kind": "tests",
        "change": "added",
        "reason": "how tests are found",
    }
    assert "Look at these" not in markdown(archived(SOLVED, CALLS), resume=None)
    shown = summary(run, document(run, resume=None, patch=None, report=None))
    line = next(line for line in shown.splitlines() if line.startswith("look at"))
    assert line.startswith("look at  0/conftest.py (tests), ")
    assert line.endswith("and 2 more, see the report")
    assert "look at" not in summary(archived(SOLVED, CALLS), document(run, resume=None, patch=None, report=None))
