"""The commands that look before anything runs: check, init, schema, doctor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.config.locate import repository_root
from tests.config.files import SOUND, changed
from tests.git.repositories import make_repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_repository(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, *changes: tuple[str, str]) -> None:
    (folder / "pipeline.yaml").write_text(changed(SOUND, *changes), encoding="utf-8")


def test_check_prints_the_envelope_of_a_sound_file(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository)
    assert main(["check", "--config-only"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Envelope: what a run can come to at most\n")
    assert printed.err == (
        f"left out with --config-only: keys, repository, Docker, image\nno problem in {repository / 'pipeline.yaml'}\n"
    )


def test_check_prints_each_problem_on_a_line_and_exits_3(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository, ("    timeout: 20m\n", ""), ("    timeout: 120s", "    time_out: 120s"))
    assert main(["check", "--config-only"]) == 3
    printed = capsys.readouterr()
    assert [line.split(":")[0:3] for line in printed.out.splitlines()] == [
        ["SW105 pipeline.yaml", "10", "3"],
        ["SW104 pipeline.yaml", "22", "5"],
    ]
    assert "2 problems; nothing was started, nothing was spent" in printed.err


def test_check_shows_warnings_and_notes_beside_the_envelope(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        repository,
        ("limits:", "models: {n: {id: claude-next}}\nlimits:"),
        ("model: claude-sonnet-5-5", "model: n"),
        ("tokens: 1_500_000", "tokens: 200_000"),
    )
    assert main(["check", "--config-only"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning: SW209 pipeline.yaml:3:3: limits.tokens")
    assert lines[1].startswith("note: anthropic/claude-next is taken on the word of")
    assert main(["check", "--config-only", "--strict"]) == 3


def test_an_override_counts_for_check(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository, ("    timeout: 20m\n", ""))
    assert main(["check", "--config-only", "--set", "stages.coder.timeout=7m"]) == 0
    assert "claude-sonnet-5-5, 7m each" in capsys.readouterr().out


def test_a_look_at_the_file_alone_loads_neither_docker_nor_git_nor_an_sdk(repository: Path) -> None:
    write(repository)
    program = (
        "import sys; from pipeline.cli import main; main(['check', '--config-only']); "
        "print([name for name in ('docker', 'git', 'anthropic', 'openai', 'google.genai', 'sqlalchemy') "
        "if name in sys.modules])"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": root}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_init_writes_a_file_that_check_takes(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "pyproject.toml").write_text("[build-system]\nrequires = []\n", encoding="utf-8")
    assert main(["init"]) == 0
    assert capsys.readouterr().out == f"{repository / 'pipeline.yaml'}\n"
    text = (repository / "pipeline.yaml").read_text(encoding="utf-8")
    assert "pytest -q --junitxml=$REPORT" in text
    assert 'setup: ["pip install -e ."]' in text
    assert main(["check", "--config-only", "--strict"]) == 0


@pytest.mark.parametrize(
    ("variable", "vendor"),
    [
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("OPENAI_API_KEY", "openai"),
        ("GEMINI_API_KEY", "google"),
        ("GOOGLE_API_KEY", "google"),
    ],
)
def test_init_names_the_vendor_whose_key_is_there(
    variable: str, vendor: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "sesame")
    assert main(["init"]) == 0
    text = (repository / "pipeline.yaml").read_text(encoding="utf-8")
    assert text.count(f"vendor: {vendor}\n") == 4
    assert "sesame" not in text
    assert main(["check", "--config-only", "--strict"]) == 0


def test_init_finds_the_tests_of_a_node_project(repository: Path) -> None:
    (repository / "package.json").write_text('{"scripts": {"test": "vitest run"}}', encoding="utf-8")
    assert main(["init"]) == 0
    text = (repository / "pipeline.yaml").read_text(encoding="utf-8")
    assert 'run: "npm test"' in text
    assert "pytest" not in text
    assert main(["check", "--config-only"]) == 0


@pytest.mark.parametrize(
    "package", ["{", "[]", '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}']
)
def test_init_says_when_it_recognises_no_tests(package: str, repository: Path) -> None:
    (repository / "package.json").write_text(package, encoding="utf-8")
    assert main(["init"]) == 0
    assert "no test runner was recognised" in (repository / "pipeline.yaml").read_text(encoding="utf-8")
    assert main(["check", "--config-only"]) == 0


def test_init_never_overwrites(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "pipeline.yaml").write_text("mine", encoding="utf-8")
    assert main(["init"]) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert (repository / "pipeline.yaml").read_text(encoding="utf-8") == "mine"


def test_init_does_not_write_through_a_dangling_link(repository: Path, tmp_path: Path) -> None:
    (repository / "pipeline.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert main(["init"]) == 2
    assert not (tmp_path / "elsewhere.yaml").exists()


def test_init_writes_overrides_into_the_file(repository: Path) -> None:
    assert (
        main(["init", "--config", "own.yaml", "--set", "stages.reviewer=none", "--set", "limits.tokens=300_000"]) == 0
    )
    text = (repository / "own.yaml").read_text(encoding="utf-8")
    assert "  reviewer: none\n" in text
    assert "  tokens: 300_000\n" in text
    assert main(["check", "--config-only", "--config", "own.yaml"]) == 0


def test_init_writes_nothing_that_check_would_refuse(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--set", "stages.coder.timeout=0"]) == 3
    assert "SW107 command line: stages.coder.timeout" in capsys.readouterr().err
    assert not (repository / "pipeline.yaml").exists()


def test_init_writes_to_the_root_of_the_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(repository / "deep" / "er")
    assert main(["init"]) == 0
    assert (repository / "pipeline.yaml").is_file()
    assert repository_root(repository / "deep" / "er") == repository


def test_schema_prints_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["limits"]["required"] == ["tokens", "wall_clock"]


def test_doctor_says_what_is_missing_and_what_to_type_and_never_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    (tmp_path / "file").touch()
    assert main(["doctor", "--state-dir", str(tmp_path / "file" / "state")]) == 7
    printed = capsys.readouterr()
    assert "missing docker      Docker does not answer" in printed.out
    assert "ok      key         openai: OPENAI_API_KEY is set\n" in printed.out
    assert "to use it, type `export ANTHROPIC_API_KEY=...`" in printed.out
    assert "name another folder with --state-dir" in printed.out
    assert "sesame" not in printed.out + printed.err
    assert printed.err == "not ready: docker, state\n"


@pytest.mark.docker
def test_doctor_is_content_with_a_machine_that_can_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--state-dir", str(tmp_path / "state")]) == 0
    assert capsys.readouterr().err == "this machine is ready\n"
    assert not (tmp_path / "state").exists()
