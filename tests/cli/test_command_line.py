import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.cli import OURS, Commands, help_text, main
from pipeline.errors import EXIT_CODES

ROOT = Path(__file__).parents[2]
HEAVY = {"pydantic", "yaml", "sqlalchemy", "rich", "anyio", "git", "docker", "anthropic", "openai", "google"}
Make = Callable[[str], Commands]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a folder with one command, `work`, whose body is given."""

    def make(body: str) -> Commands:
        package = f"commands_of_{tmp_path.name.replace('-', '_')}"
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        source = f'"""Do some work."""\n{body}\ndef configure(parser): parser.add_argument("--size", type=int)\n'
        (folder / "work.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        return Commands(folder, package)

    return make


def program(commands: Commands) -> str:
    """Return a program that runs `stagewright work` on these commands."""
    return (
        f"import sys; from pathlib import Path; sys.path[:0] = [{str(ROOT)!r}, {str(commands.folder.parent)!r}]\n"
        "from pipeline.cli import Commands, main\n"
        f"sys.exit(main(['work'], Commands(Path({str(commands.folder)!r}), {commands.package!r})))"
    )


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == help_text()


def test_help_lists_every_command_with_the_first_line_of_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in OURS.names():
        first = (OURS.folder / f"{name}.py").read_text().splitlines()[0].strip('".')
        assert f"  {name:<8}" in shown or f"  {name} " in shown
        assert first in shown


def test_help_lists_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    shown = capsys.readouterr().out
    for status, code in EXIT_CODES.items():
        assert f"{code:>3}  {status.replace('_', ' ')}" in shown


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"stagewright {__version__}\n"


@pytest.mark.parametrize("name", OURS.names())
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: stagewright {name}")


@pytest.mark.parametrize(("typed", "meant"), [("rnus", "runs"), ("patches", "patch"), ("--versoin", "--version")])
def test_a_misspelt_command_is_answered_with_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"did you mean `stagewright {meant}`?" in printed.err


def test_a_word_like_no_command_is_pointed_to_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xyzzy"]) == 2
    assert "`stagewright --help`" in capsys.readouterr().err


def test_the_exit_code_of_a_command_is_passed_on(command: Make) -> None:
    assert main(["work", "--size", "5"], command("def run(arguments): return arguments.size")) == 5


@pytest.mark.parametrize("words", [["--size", "big"], ["--siz", "5"], ["--colour"], ["extra"]])
def test_wrong_arguments_are_a_usage_error(command: Make, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["work", *words], command("def run(arguments): return 0")) == 2
    assert "usage: stagewright work" in capsys.readouterr().err


def test_an_error_of_ours_is_one_line_and_its_exit_code(command: Make, capsys: pytest.CaptureFixture[str]) -> None:
    body = "from pipeline.errors import UsageError\ndef run(arguments): raise UsageError('no run 7')"
    assert main(["work"], command(body)) == 2
    assert capsys.readouterr().err == "error: no run 7\n"


def test_an_interrupt_is_cancelled(command: Make) -> None:
    assert main(["work"], command("def run(arguments): raise KeyboardInterrupt")) == EXIT_CODES["cancelled"]


def test_a_defect_of_ours_is_not_taken_for_an_unsolved_ticket(
    command: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["work"], command("def run(arguments): return 1 / 0")) == EXIT_CODES["infrastructure"]
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "a defect of stagewright itself" in said


def test_a_reader_that_goes_away_is_no_traceback(command: Make) -> None:
    commands = command("import sys\ndef run(arguments):\n    while True: sys.stdout.write('line\\n' * 9999)")
    code = program(commands)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_letter_the_terminal_lacks_is_spelt_out(command: Make) -> None:
    commands = command("def run(arguments): print('caf\u00e9 \u2026'); return 0")
    code = program(commands)
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"caf\xe9 \\u2026\n"


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_load_no_heavy_package(word: str) -> None:
    code = f"import sys; from pipeline.cli import main; main([{word!r}]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY & {name.split(".")[0] for name in done.stderr.split()} == set()


def test_the_program_runs_as_a_module_from_any_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--version"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode() == f"stagewright {__version__}\n"
