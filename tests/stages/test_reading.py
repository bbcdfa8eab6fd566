"""The reading tools through a conversation, on a real work tree."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import ExecResult, Sandbox
from stages.model import ToolCall
from stages.planner import run
from stages.searching import Search, search
from stages.tool import RefusedError
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, reply
from tests.fakes.directory_sandbox import DirectorySandbox
from tests.stages.relay import Relay
from tests.stages.setting import context_of

pytestmark = pytest.mark.anyio
FOLDERS = os.environ["PATH"].split(os.pathsep)
END = reply(call("request_clarification", question="Which?", options=[]))


class WithPath(Relay):
    def __init__(self, inner: Sandbox, folders: Sequence[str]) -> None:
        super().__init__(inner)
        self.path = os.pathsep.join(folders)

    async def exec(self, argv: Sequence[str], **options: Any) -> ExecResult:
        return await super().exec(argv, **options, env={"PATH": self.path})


def without_ripgrep(tree: Sandbox) -> Sandbox:
    return WithPath(tree, [folder for folder in FOLDERS if not (Path(folder) / "rg").exists()])


async def ask(tree: DirectorySandbox, asked: ToolCall) -> tuple[str, bool]:
    model = ScriptedModel(reply(asked), END)
    await run(context_of(model, tree, RecordingObserver()))
    return model.last_turn.results[0].content, model.last_turn.results[0].is_error


async def test_read_file_returns_the_text_exactly(tree: DirectorySandbox) -> None:
    assert await ask(tree, call("read_file", path="src/crlf.py")) == ("first = 1\r\nsecond = 2\r\nthird = 3\r\n", False)


async def test_read_file_returns_the_lines_asked_for(tree: DirectorySandbox) -> None:
    text, _ = await ask(tree, call("read_file", path="src/crlf.py", start_line=2, end_line=2))
    assert text == "second = 2\r\n[lines 2-2 of 3]"


async def test_a_binary_file_is_named_as_such(tree: DirectorySandbox) -> None:
    assert await ask(tree, call("read_file", path="logo.png")) == ("[logo.png is a binary file of 12 bytes]", False)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("src/missing.py", "does not exist"),
        ("src", "not a regular file"),
        ("../secret", "climbs"),
        ("/etc/passwd", "absolute"),
        (".git/config", ".git"),
        ("out/passwd", "leads out"),
    ],
)
async def test_what_cannot_be_read_is_refused(tree: DirectorySandbox, path: str, says: str) -> None:
    (tree.root / "out").symlink_to("/etc")
    text, is_error = await ask(tree, call("read_file", path=path))
    assert is_error
    assert says in text


async def test_line_numbers_begin_at_one(tree: DirectorySandbox) -> None:
    text, is_error = await ask(tree, call("read_file", path="src/dates.py", start_line=0))
    assert is_error
    assert "start_line" in text


async def test_list_files_shows_what_git_does_not_ignore(tree: DirectorySandbox) -> None:
    (tree.root / "debug.log").write_text("noise")
    (tree.root / "src/extra.py").write_text("new")
    (tree.root / "README.md").unlink()
    text, _ = await ask(tree, call("list_files", path="."))
    assert text.splitlines() == [
        *(".gitignore", "logo.png", "src/crlf.py", "src/dates.py", "src/extra.py", "tests/test_dates.py")
    ]


async def test_list_files_of_a_folder_and_of_a_name_with_wildcards(tree: DirectorySandbox) -> None:
    for folder in ("[a]*", "abc"):
        (tree.root / folder).mkdir()
        (tree.root / folder / "x.py").write_text("x")
    assert (await ask(tree, call("list_files", path="src/")))[0] == "src/crlf.py\nsrc/dates.py"
    assert (await ask(tree, call("list_files", path="[a]*")))[0] == "[a]*/x.py"


@pytest.mark.parametrize("path", ["nowhere", "..", "/"])
async def test_a_folder_without_files_is_refused(tree: DirectorySandbox, path: str) -> None:
    assert (await ask(tree, call("list_files", path=path)))[1]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"pattern": r"def \w+"}, ["src/dates.py:1:def leap(year):", "tests/test_dates.py:1:def test_leap():"]),
        ({"pattern": "def", "path": "src"}, ["src/dates.py:1:def leap(year):"]),
        ({"pattern": "def", "path": "src/dates.py"}, ["src/dates.py:1:def leap(year):"]),
        ({"pattern": "leap", "glob": "test_*.py"}, ["tests/test_dates.py:1:def test_leap():"]),
        ({"pattern": "leap", "glob": "src/*.py"}, ["src/dates.py:1:def leap(year):"]),
        ({"pattern": "leap", "path": "src", "glob": "*.py"}, ["src/dates.py:1:def leap(year):"]),
        ({"pattern": "fresh"}, ["src/fresh.py:1:fresh = 1"]),
        ({"pattern": "ignored"}, ["[no match]"]),
        ({"pattern": "-leap"}, ["[no match]"]),
    ],
)
async def test_search_without_ripgrep(tree: DirectorySandbox, arguments: dict[str, Any], found: list[str]) -> None:
    (tree.root / "src/fresh.py").write_text("fresh = 1\n")
    (tree.root / "x.log").write_text("ignored\n")
    assert (await search(Search(**arguments), without_ripgrep(tree), seconds=10)).splitlines() == found


async def test_a_broken_pattern_is_refused_with_the_engines_own_words(tree: DirectorySandbox) -> None:
    with pytest.raises(RefusedError, match=r"[Uu]nmatched"):
        await search(Search(pattern="(leap"), without_ripgrep(tree), seconds=10)


async def test_ripgrep_is_asked_where_an_image_has_it(tree: DirectorySandbox, tmp_path: Path) -> None:
    stand_in = tmp_path / "rg"
    stand_in.write_text('#!/bin/sh\nfor last; do :; done\necho "$last/a.py:1:found"\n')
    stand_in.chmod(0o755)
    with_ripgrep = WithPath(tree, [str(tmp_path), *FOLDERS])
    assert await search(Search(pattern="x", path="src"), with_ripgrep, seconds=10) == "src/a.py:1:found"


class TimedOut(Relay):
    async def exec(self, argv: Sequence[str], **options: Any) -> ExecResult:
        return ExecResult(None, b"", b"", 1.0, timed_out=True)


async def test_a_search_that_takes_too_long_says_so(tree: DirectorySandbox) -> None:
    with pytest.raises(RefusedError, match="too long"):
        await search(Search(pattern="x"), TimedOut(tree), seconds=1)
