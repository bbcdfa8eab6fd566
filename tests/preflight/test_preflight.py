"""Preflight finds the problems of config, tickets and surroundings in one go."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from pipeline.errors import UsageError
from pipeline.preflight import Preflight, PreflightRequest, preflight
from pipeline.preflight.envelope import render
from pipeline.problem import PreflightError
from tests.config.files import SOUND, changed
from tests.git.repositories import git, make_repository

KEYS = {"ANTHROPIC_API_KEY": "k-anthropic", "GOOGLE_API_KEY": "k-google"}
REQUIRED = (
    "the required key is missing; add `timeout: 20m`: wall clock of one attempt, from its first prompt to its artifact"
)


def project(folder: Path, text: str = SOUND) -> Path:
    files = {"pipeline.yaml": text.encode(), "ticket.md": b"# Fix it\n", "sub/a.txt": b"a\n"}
    return make_repository(folder / "project", files)


def found(
    cwd: Path,
    *,
    tickets: tuple[str, ...] = (),
    environ: Mapping[str, str] = KEYS,
    config: Path | None = None,
    base: str | None = None,
    strict: bool = False,
    config_only: bool = False,
    docker: bool = False,
    repo: Path | None = None,
) -> Preflight:
    request = PreflightRequest(
        tickets=tickets,
        repo=repo,
        config=config,
        base=base,
        cwd=cwd,
        environ=environ,
        stdin=str,
        strict=strict,
        config_only=config_only,
        docker=docker,
    )
    return anyio.run(preflight, request)


def lines(result: Preflight) -> list[str]:
    return [problem.line_text() for problem in result.problems]


def test_a_sound_project_has_all_a_run_starts_from(tmp_path: Path) -> None:
    folder = project(tmp_path)
    result = found(folder, tickets=("ticket.md",))
    assert lines(result) == []
    assert result.ticket is not None
    assert (result.ticket.id, result.repository, result.base) == ("ticket", folder, git(folder, "rev-parse", "HEAD"))
    assert (result.config_path, result.config_trusted) == (folder / "pipeline.yaml", False)
    assert result.keys == {"anthropic": "k-anthropic", "google": "k-google"}
    assert result.envelope is not None
    assert "k-anthropic" not in repr(result)


def test_config_ticket_keys_and_base_are_judged_together(tmp_path: Path) -> None:
    folder = project(tmp_path, changed(SOUND, ("    timeout: 20m\n", "")))
    (folder / "ticket.md").write_text("---\nbase: nowhere\nchecks: [lint]\n---\nFix it\n", encoding="utf-8")
    git(folder, "branch", "stagewright")
    result = found(folder, tickets=("ticket.md", "missing.md"), environ={"ANTHROPIC_API_KEY": "k"})
    assert lines(result) == [
        f"SW105 pipeline.yaml:10:3: stages.coder.timeout: {REQUIRED}",
        "SW305 ticket.md:3:1: checks: `lint` is not a configured check; configured: tests",
        "SW301 missing.md: cannot be read: No such file or directory; name an existing file",
        (
            "SW406 pipeline.yaml:20:5: stages.reviewer.vendor: the key of google is not set: "
            "GEMINI_API_KEY or GOOGLE_API_KEY is empty; type `export GEMINI_API_KEY=...`"
        ),
        (
            "SW405 a branch named `stagewright` exists, so no branch `stagewright/<ticket>` can; "
            "rename it: `git branch -m stagewright another-name`"
        ),
        (
            f"SW404 ticket.md:2:1: base: 'nowhere' names no commit in {folder}; "
            "`git branch -a` and `git log` list what does"
        ),
    ]
    with pytest.raises(PreflightError) as refused:
        result.require()
    assert refused.value.exit_code == 3
    assert str(refused.value).splitlines() == lines(result)


def test_the_base_of_the_command_line_goes_before_the_tickets(tmp_path: Path) -> None:
    folder = project(tmp_path)
    git(folder, "branch", "first")
    git(folder, "commit", "-q", "--allow-empty", "-m", "second")
    (folder / "ticket.md").write_text("---\nbase: first\n---\nFix it\n", encoding="utf-8")
    assert found(folder, tickets=("ticket.md",)).base == git(folder, "rev-parse", "first")
    assert found(folder, tickets=("ticket.md",), base="main").base == git(folder, "rev-parse", "main")


def test_no_repository_and_one_without_a_commit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(SOUND, encoding="utf-8")
    assert [problem.code for problem in found(tmp_path).problems] == ["SW403"]
    git(tmp_path, "init", "-q")
    assert lines(found(tmp_path)) == [
        f"SW403 {tmp_path} has no commit, so there is nothing to start from; make one: `git add . && git commit`"
    ]


def test_a_config_in_the_repositorys_root_is_found_from_below_and_not_trusted(tmp_path: Path) -> None:
    text = changed(SOUND, ("limits:", 'vendors: {anthropic: {base_url: "https://evil.example"}}\nlimits:'))
    folder = project(tmp_path, text)
    assert [problem.code for problem in found(folder / "sub").problems] == ["SW112"]
    assert [problem.code for problem in found(tmp_path, repo=Path("project")).problems] == ["SW112"]
    named = found(folder / "sub", config=Path("../pipeline.yaml"))
    assert (lines(named), named.config_trusted) == ([], True)
    by_environment = found(folder, environ={**KEYS, "STAGEWRIGHT_CONFIG": "pipeline.yaml"})
    assert (lines(by_environment), by_environment.config_trusted) == ([], True)


def test_without_a_config_the_rest_is_judged_all_the_same(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "project")
    git(folder, "branch", "stagewright")
    codes = [problem.code for problem in found(folder, tickets=("none.md",)).problems]
    assert codes == ["SW101", "SW301", "SW405"]


def test_a_warning_is_a_problem_when_strict(tmp_path: Path) -> None:
    folder = project(tmp_path, changed(SOUND, ("model: claude-sonnet-5-5", "model: claude-sonnet-4-5")))
    mild, strict = found(folder), found(folder, strict=True)
    assert ([warning.code for warning in mild.warnings], lines(mild)) == (["SW205"], [])
    assert (strict.warnings, [problem.code for problem in strict.problems]) == ((), ["SW205"])


def test_a_look_at_the_config_alone_asks_for_no_key_and_no_repository(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(SOUND, encoding="utf-8")
    result = found(tmp_path, environ={}, config_only=True, docker=True)
    assert (lines(result), dict(result.keys), result.repository) == ([], {}, None)


def test_a_keyless_vendor_and_an_unused_one_need_no_key(tmp_path: Path) -> None:
    extra = 'vendors: {google: {api_key: none}, openai: {base_url: "http://127.0.0.1:1/v1"}}\n'
    result = found(project(tmp_path, extra + SOUND), environ={"ANTHROPIC_API_KEY": " k-anthropic\n"})
    assert lines(result) == []
    assert result.keys == {"anthropic": "k-anthropic"}


def test_several_tickets_by_folder_are_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several tickets are not built yet"):
        found(project(tmp_path), tickets=("sub",))


def test_a_silent_engine_is_a_problem_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    folder = project(tmp_path, changed(SOUND, ("    timeout: 20m\n", "")))
    result = found(folder, docker=True)
    assert [problem.code for problem in result.problems] == ["SW105", "SW401"]
    assert "Docker does not answer" in lines(result)[1]


@pytest.mark.docker
def test_a_missing_image_is_named_with_what_to_type(tmp_path: Path) -> None:
    folder = project(tmp_path, SOUND + "sandbox: {image: stagewright/not-there}\n")
    assert lines(found(folder, docker=True)) == [
        (
            "SW402 pipeline.yaml:30:11: sandbox.image: the image `stagewright/not-there` is not there; "
            "`docker build -t stagewright/not-there .` or `docker pull stagewright/not-there`; "
            "it needs at least Python 3 and git"
        )
    ]


@pytest.mark.docker
def test_the_default_image_is_there(tmp_path: Path) -> None:
    assert lines(found(project(tmp_path), docker=True)) == []


def test_the_projects_folder_has_to_be_in_the_base_commit(tmp_path: Path) -> None:
    folder = project(tmp_path, SOUND + "repo:\n  subdir: subb\n")
    (folder / "subb").mkdir()
    assert lines(found(folder)) == [
        "SW410 pipeline.yaml:31:3: repo.subdir: `subb` is no folder of the base commit; did you mean `sub`?"
    ]


def test_a_project_folder_that_is_there_is_in_the_settings_and_the_envelope(tmp_path: Path) -> None:
    result = found(project(tmp_path, SOUND + "repo: {subdir: ./sub/}\n"))
    assert lines(result) == []
    assert result.settings is not None
    assert result.settings.repo.subdir == "sub"
    assert result.envelope is not None
    assert "project: sub, where commands run" in render(result.envelope)


def test_files_no_sandbox_can_hold_are_refused(tmp_path: Path) -> None:
    folder = project(tmp_path)
    blob = git(folder, "hash-object", "-w", "--stdin")
    long = "/".join(["d" * 250] * 16)
    for path in (long, "n" * 256):
        git(folder, "update-index", "--index-info", stdin=f"100644 {blob}\t{path}".encode())
    tree = git(folder, "mktree", "--missing", stdin=f"100644 blob {blob}\t.Git\n".encode())
    git(folder, "commit", "-q", "-m", "unusual")
    assert lines(found(folder)) == [
        (
            f"SW409 no sandbox can hold the base commit's files: {'d' * 60}…{'d' * 15} is longer than 4000 bytes; "
            f"{'n' * 60}…{'n' * 15} has a name longer than 255 bytes; start from a commit without such files: "
            "`--base REF`, or rename them"
        )
    ]
    commit = git(folder, "commit-tree", tree, "-m", "hostile")
    assert lines(found(folder, base=commit)) == [
        (
            "SW409 no sandbox can hold the base commit's files: .Git leads into .git, here or on another system; "
            "start from a commit without such files: `--base REF`, or rename them"
        )
    ]
