"""No way of making git run a repository's program works on any git command of ours, and each works on plain git."""

import ast
import os
import pty
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import GitError
from pipeline.git.base import read_base
from pipeline.git.branch import publish
from pipeline.git.command import Git
from pipeline.git.receipt import take
from pipeline.git.repository import open_repository, resolve
from pipeline.git.tree import TreeStore
from sandbox.base import FileState, Snapshot
from stages.artifacts import Ticket
from tests.git.attack_vectors import FILES, VECTORS, Vector, filled, hostile
from tests.git.recording import Call, calls, install
from tests.git.repositories import PLAIN, make_repository

ROOT = Path(__file__).resolve().parents[2]
LEAST_VECTORS = 33
FIRED = [vector for vector in VECTORS if vector.naive]


def journey(folder: Path, objects: Path) -> None:
    """Do everything the product does with a repository on the host."""
    repository = open_repository(folder)
    base = resolve(repository, "HEAD")
    take(repository)
    runs = Git(repository.path, objects)
    trees = TreeStore(runs, read_base(runs, base))
    snapshot = Snapshot({"a.txt": FileState("100644", b"three\n"), "b.txt": None, "n.txt": FileState("100755", b"")})
    trees.read_file("b.txt", Snapshot())
    # A kind of file that is too large to be brought along with its kin.
    trees.read_file("large.bin", Snapshot())
    trees.diff(Snapshot(), snapshot)
    publish(runs, base, trees.write(snapshot), ticket=Ticket(id="t", title="t", body=""), run_id="r", models=(), when=0)
    take(repository)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {**FILES, "large.bin": os.urandom(300 << 10)}
    return make_repository(tmp_path_factory.mktemp("template") / "user", files)


@pytest.fixture(scope="module")
def recorded(template: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    folder = tmp_path_factory.mktemp("recording")
    user, _ = hostile(folder, Vector("none", ()), template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", install(folder / "bin"))
        journey(user, folder / "objects")
    return calls(folder / "bin")


def test_the_recording_has_every_git_command_the_product_names(recorded: list[Call]) -> None:
    named = {command for file in sorted((ROOT / "pipeline").rglob("*.py")) for command in git_commands(file)}
    assert named == {call.command for call in recorded}
    assert len(named) > 10


def test_git_is_started_in_one_place() -> None:
    starters = {
        str(file.relative_to(ROOT))
        for layer in ("pipeline", "stages", "sandbox")
        for file in (ROOT / layer).rglob("*.py")
        if "git" in starts_on_the_host(file)
    }
    # `demo` makes a repository of its own out of the example; nobody else's is ever involved.
    assert starters == {"pipeline/commands/demo.py"}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_nothing_of_the_repository_runs(vector: Vector, template: Path, tmp_path: Path, recorded: list[Call]) -> None:
    user, mark = hostile(tmp_path, vector, template)
    made = set()
    try:
        journey(user, tmp_path / "objects")
    except GitError:
        # It gave up on the way, so each command has its turn by itself.
        made = replay(recorded, Git(user, tmp_path / "objects"), tmp_path / "index")
        assert made == {call.command for call in recorded}
    assert not mark.exists()


@pytest.mark.parametrize("vector", FIRED, ids=lambda vector: vector.name)
def test_plain_git_runs_it(vector: Vector, template: Path, tmp_path: Path) -> None:
    user, mark = hostile(tmp_path, vector, template)
    plain_git(filled(vector, user), user, vector)
    assert mark.exists()


def test_there_are_as_many_vectors_as_were_measured() -> None:
    assert len(FIRED) >= LEAST_VECTORS


def test_a_work_tree_that_the_configuration_moves_elsewhere_is_refused(template: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", {"secret.txt": b"s"})
    user, _ = hostile(tmp_path, Vector("core.worktree", (), {"core.worktree": str(other)}), template)
    with pytest.raises(GitError, match="puts its work tree elsewhere"):
        open_repository(user)


def replay(recorded: list[Call], git: Git, index: Path) -> set[str]:
    """Run each recorded command through the wrapper, whatever comes of it."""
    for call in recorded:
        own_index = {"GIT_INDEX_FILE": str(index)} if "GIT_INDEX_FILE" in call.variables else {}
        with_identity = {
            name: value for name, value in call.variables.items() if name.startswith(("GIT_AUTHOR_", "GIT_COMM"))
        }
        try:
            git.run(*call.words, stdin=call.stdin, environment={**own_index, **with_identity})
        except GitError:
            continue
    return {call.command for call in recorded}


def plain_git(words: tuple[str, ...], folder: Path, vector: Vector) -> None:
    environment = {**PLAIN, "GIT_ALLOW_PROTOCOL": "file:ssh:git:ext", "TERM": "dumb", "GIT_TERMINAL_PROMPT": "0"}
    main, terminal = pty.openpty()
    try:
        subprocess.run(
            ["git", *words],
            cwd=folder,
            env=environment,
            input=vector.stdin,
            stdout=terminal if vector.terminal else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=20,
            start_new_session=True,
        )
    finally:
        os.close(main)
        os.close(terminal)


def git_commands(file: Path) -> set[str]:
    """Return the git commands a module gives to the wrapper; whoever hides one in a variable fails the test."""
    tree = ast.parse(file.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and node.value is not None
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_wrapper(node.func, file):
            found.add(_first_word(node.args[0], constants))
    return found - {""}


def _is_wrapper(function: ast.expr, file: Path) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    holder = ast.unparse(function.value).lower()
    names = ("git", "users", "runs")
    return function.attr in ("run", "_run") and (
        holder.rpartition(".")[2].lstrip("_").startswith(names)
        or (file.name == "command.py" and file.parent.name == "git")
    )


def _first_word(argument: ast.expr, constants: dict[str, ast.expr]) -> str:
    if isinstance(argument, ast.Starred):
        argument = argument.value
    if isinstance(argument, ast.Name) and argument.id in constants:
        argument = constants[argument.id]
    if isinstance(argument, ast.Tuple):
        argument = argument.elts[0]
    if isinstance(argument, ast.Name) and argument.id == "arguments":
        return ""  # the wrapper itself, passing on what it was given
    assert isinstance(argument, ast.Constant), f"{ast.unparse(argument)}: name the git command where it is run"
    return str(argument.value)


def starts_on_the_host(file: Path) -> set[str]:
    """Return the first words of lists given to functions that start processes."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        starter = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "run",
            "Popen",
            "check_output",
            "check_call",
            "call",
            "run_process",
            "open_process",
            "execvp",
            "spawnv",
            "run_command",
            "system",
        )
        if starter and isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.List):
            first = node.args[0].elts[0]
            found.add(str(first.value) if isinstance(first, ast.Constant) else "")
    return found
