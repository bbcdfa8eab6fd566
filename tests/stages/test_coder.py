"""The Coder's tools and endings through whole attempts on a real work tree."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import ExecResult, Sandbox
from stages.artifacts import Failure, Finish, ScopeRequest
from stages.coder import run
from stages.contract import Feedback, StageResult
from stages.model import Reply, ToolCall
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, reply
from tests.fakes.directory_sandbox import DirectorySandbox, directory_sandbox
from tests.sandbox.trees import base_tree, git, make_repository
from tests.stages.relay import Relay
from tests.stages.setting import FILES, Clock, context_of, text

pytestmark = pytest.mark.anyio
FINISH = reply(call("finish", summary="done"))
EDIT = call("edit_file", path="src/dates.py", old="year % 4", new="year % 400")


@dataclass
class Attempt:
    result: StageResult
    model: ScriptedModel
    observer: RecordingObserver

    @property
    def said(self) -> list[str]:
        return [result.content for result in self.model.results]


async def attempt(tree: Sandbox, *replies: Reply, **changes: Any) -> Attempt:
    model, observer = ScriptedModel(*replies), RecordingObserver()
    return Attempt(await run(context_of(model, tree, observer, **changes)), model, observer)


async def test_an_edit_is_made_and_finish_passes(tree: DirectorySandbox) -> None:
    done = await attempt(tree, reply(EDIT), FINISH)
    assert done.result == StageResult("passed", Finish(summary="done"))
    assert text(tree, "src/dates.py") == "def leap(year):\n    return year % 400 == 0\n"
    assert done.said == ["Edited src/dates.py at line 2."]


async def test_an_edit_keeps_crlf_lines(tree: DirectorySandbox) -> None:
    await attempt(tree, reply(call("edit_file", path="src/crlf.py", old="first = 1\nsecond", new="a = 1\nb")), FINISH)
    assert text(tree, "src/crlf.py") == "a = 1\r\nb = 2\r\nthird = 3\r\n"


async def test_an_edit_of_text_that_occurs_twice_writes_nothing(tree: DirectorySandbox) -> None:
    twice = call("edit_file", path="src/dates.py", old="year", new="y")
    done = await attempt(tree, reply(twice), FINISH, progress_required=False)
    assert "occurs 2 times (lines 1, 2)" in done.said[0]
    assert done.observer.codes == ["edit"]
    assert not (await tree.snapshot()).files


async def test_a_file_is_created_with_its_folders_written_and_deleted_again(tree: DirectorySandbox) -> None:
    done = await attempt(
        tree,
        reply(call("write_file", path="src/new.py", content="x = 1\r\n")),
        reply(call("read_file", path="src/new.py")),
        reply(call("delete_file", path="src/new.py"), call("delete_file", path="README.md")),
        FINISH,
    )
    assert done.said == ["Wrote src/new.py, 7 bytes.", "x = 1\r\n", "Deleted src/new.py.", "Deleted README.md."]
    assert (await tree.snapshot()).files == {"README.md": None}


@pytest.mark.parametrize(
    ("proposal", "code"),
    [
        (call("write_file", path="tests/test_dates.py", content="x"), "out_of_scope"),
        (call("edit_file", path="tests/test_dates.py", old="True", new="1"), "out_of_scope"),
        (call("delete_file", path="tests/test_dates.py"), "out_of_scope"),
        (call("delete_file", path="src/dates.py"), "operation"),
        (call("write_file", path="README.md", content="x"), "operation"),
        (call("write_file", path="../new.py", content="x"), "path"),
        (call("write_file", path="/tmp/new.py", content="x"), "path"),
        (call("write_file", path=".git/hooks/pre-commit", content="x"), "git_path"),
        (call("write_file", path=".gitmodules", content="x"), "submodule"),
        (call("write_file", path="src/new.py/x", content="x"), "out_of_scope"),
        (call("write_file", path="src/new.py", content="\ud800"), "bad_arguments"),
        (call("edit_file", path="src/new.py", old="a", new="b"), "path"),
        (call("edit_file", path="src/dates.py", old="", new="b"), "bad_arguments"),
        (call("delete_file", path="src/new.py"), "path"),
        (call("run", command="a\0b"), "bad_arguments"),
        (call("run", command="true", timeout=-1), "bad_arguments"),
    ],
)
async def test_a_refused_proposal_writes_nothing_and_is_reported(
    tree: DirectorySandbox, proposal: ToolCall, code: str
) -> None:
    done = await attempt(tree, reply(proposal), FINISH, progress_required=False)
    assert done.result.outcome == "passed"
    assert done.model.results[0].is_error
    assert done.observer.codes == [code]
    assert not (await tree.snapshot()).files


async def test_a_symlink_of_the_base_is_no_way_out_of_the_scope(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository", FILES)
    (repository / "src/new.py").symlink_to("../tests/test_dates.py")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "link")
    written = call("write_file", path="src/new.py", content="owned")
    async with directory_sandbox(base_tree(repository)) as tree:
        done = await attempt(tree, reply(written), FINISH, progress_required=False)
        assert not (await tree.snapshot()).files
    assert done.observer.codes == ["out_of_scope"]
    assert "tests/test_dates.py" in done.said[0]


async def test_a_run_tells_exit_code_and_output_and_archives_all_of_it(tree: DirectorySandbox) -> None:
    command = "echo out; echo err >&2; head -c 100000 /dev/zero | tr '\\0' x; exit 3"
    done = await attempt(tree, reply(call("run", command=command)), FINISH, progress_required=False)
    assert done.said[0].startswith("[exit code 3]\nout\nerr\nxxx")
    assert len(done.said[0]) < 31_000
    assert len(done.observer.outputs[0]) == 100_008
    assert not done.model.results[0].is_error


async def test_a_run_may_change_what_is_in_scope_and_what_git_ignores(tree: DirectorySandbox) -> None:
    command = "echo x >> src/dates.py && rm README.md && mkdir .cache && echo y > .cache/z && echo n > a.log"
    done = await attempt(tree, reply(call("run", command=command)), FINISH)
    assert done.said == ["[exit code 0]\n[no output]"]
    assert set((await tree.snapshot()).files) == {"src/dates.py", "README.md"}
    assert (tree.root / ".cache/z").exists()


async def test_what_a_run_changes_out_of_scope_is_put_back_and_named(tree: DirectorySandbox) -> None:
    command = (
        "echo x >> src/dates.py; echo y > src/new.py; echo cheat > tests/test_dates.py; rm src/crlf.py logo.png;"
        "chmod +x .gitignore; echo z > stray.py"
    )
    done = await attempt(tree, reply(call("run", command=command)), FINISH)
    named = done.said[0].splitlines()[-1]
    assert named.endswith(": .gitignore, logo.png, src/crlf.py, stray.py, tests/test_dates.py]")
    assert set((await tree.snapshot()).files) == {"src/dates.py", "src/new.py"}
    assert text(tree, "tests/test_dates.py") == "def test_leap():\n    assert True\n"


async def test_a_run_that_undoes_accepted_work_out_of_scope_is_put_back_too(tree: DirectorySandbox) -> None:
    (tree.root / "tests/test_dates.py").write_text("accepted earlier\n")
    command = "printf 'def test_leap():\\n    assert True\\n' > tests/test_dates.py"
    await attempt(tree, reply(call("run", command=command)), FINISH, progress_required=False)
    assert text(tree, "tests/test_dates.py") == "accepted earlier\n"


async def test_a_run_that_leaves_something_unacceptable_is_undone_whole(tree: DirectorySandbox) -> None:
    command = "echo x >> src/dates.py; echo sub > .gitmodules"
    done = await attempt(tree, reply(EDIT), reply(call("run", command=command)), FINISH)
    assert "was put back, because of .gitmodules: submodules" in done.said[1]
    assert not (tree.root / ".gitmodules").exists()
    assert text(tree, "src/dates.py") == "def leap(year):\n    return year % 400 == 0\n"


@dataclass
class Limits:
    seconds: list[float] = field(default_factory=list)


class Watched(Relay):
    """Remembers the time limits of the commands of `run`."""

    def __init__(self, inner: Sandbox, limits: Limits) -> None:
        super().__init__(inner)
        self.limits = limits

    async def exec(self, argv: Sequence[str], **options: Any) -> ExecResult:
        if argv[-1] == "true":
            self.limits.seconds.append(options["timeout"])
        return await super().exec(argv, **options)


@pytest.mark.parametrize(
    ("asked", "left", "limit"),
    [(None, 600, 120), (300, 600, 300), (900, 600, 600), (None, 50, 50), (None, -3, 0.1)],
)
async def test_a_run_has_120_seconds_unless_it_asks_and_never_more_than_the_attempt(
    tree: DirectorySandbox, asked: float | None, left: float, limit: float
) -> None:
    limits = Limits()
    command = call("run", command="true", timeout=asked)
    watched = Watched(tree, limits)
    await attempt(watched, reply(command), FINISH, progress_required=False, remaining=Clock([left]))
    assert limits.seconds == [limit]


async def test_finishing_without_a_change_is_no_progress(tree: DirectorySandbox) -> None:
    done = await attempt(tree, FINISH)
    assert done.result.outcome == "no_progress"
    assert done.result.failure is not None
    assert (done.result.failure.kind, done.result.failure.code) == ("no_progress", "no_change")


async def test_the_patch_an_attempt_began_with_is_no_change(tree: DirectorySandbox) -> None:
    (tree.root / "src/dates.py").write_text("the last red patch\n")
    assert (await attempt(tree, FINISH)).result.outcome == "no_progress"


async def test_a_change_that_was_undone_is_no_change(tree: DirectorySandbox) -> None:
    back = call("edit_file", path="src/dates.py", old="year % 400", new="year % 4")
    assert (await attempt(tree, reply(EDIT, back), FINISH)).result.outcome == "no_progress"


async def test_a_later_item_may_finish_without_a_change(tree: DirectorySandbox) -> None:
    assert (await attempt(tree, FINISH, progress_required=False)).result.outcome == "passed"


async def test_finish_is_refused_while_the_work_tree_holds_what_may_not_leave_it(tree: DirectorySandbox) -> None:
    # Only something outside the tools can do this: commands are undone at once.
    class Polluting(ScriptedModel):
        async def complete(self, request: Any) -> Reply:
            (tree.root / ".gitmodules").write_text("x") if not self.requests else (tree.root / ".gitmodules").unlink()
            return await super().complete(request)

    model, observer = Polluting(FINISH, FINISH), RecordingObserver()
    result = await run(context_of(model, tree, observer, progress_required=False))
    assert result.outcome == "passed"
    assert observer.codes == ["submodule"]


async def test_request_scope_ends_the_attempt_with_normalised_paths(tree: DirectorySandbox) -> None:
    request = call("request_scope", paths=["./src//calendar.py"], reason="leap is used there")
    done = await attempt(tree, reply(request, EDIT))
    assert done.result.outcome == "stopped"
    assert done.result.artifact == ScopeRequest(paths=("src/calendar.py",), reason="leap is used there")
    assert done.result.failure is not None
    assert done.result.failure.kind == "scope"
    assert not (await tree.snapshot()).files


@pytest.mark.parametrize(
    ("paths", "allowed", "code"),
    [(["src/a.py"], False, "scope_request"), ([], True, "bad_arguments"), (["../a.py"], True, "bad_arguments")],
)
async def test_a_scope_request_can_be_refused(
    tree: DirectorySandbox,
    paths: list[str],
    allowed: bool,  # noqa: FBT001 - a table's column
    code: str,
) -> None:
    request = call("request_scope", paths=paths, reason="because")
    done = await attempt(tree, reply(request), reply(EDIT), FINISH, may_request_scope=allowed)
    assert done.result.outcome == "passed"
    assert done.observer.codes == [code]


async def test_a_refused_scope_request_never_makes_the_reply_unusable(tree: DirectorySandbox) -> None:
    requests = [reply(call("request_scope", paths=[path], reason="because")) for path in "abcd"]
    done = await attempt(tree, *requests, reply(EDIT), FINISH, may_request_scope=False)
    assert done.result.outcome == "passed"


async def test_the_coder_sees_ticket_manifest_item_failure_and_previous_diff(tree: DirectorySandbox) -> None:
    feedback = Feedback(
        failure=Failure(
            kind="checks", message="1 test is red", tests=("tests/test_dates.py::test_leap",), excerpt="E 1"
        ),
        previous_diff="-old line\n+new line\n",
        brief="Look at centuries.",
        guidance=("Use the calendar module.",),
    )
    done = await attempt(tree, reply(EDIT), FINISH, feedback=feedback, repository_map="MAP", conventions="Tabs.")
    opening = done.model.opening
    for shown in (
        *("Centuries are no leap years.", "Fix leap years", "src/new.py", "1 test is red", "E 1", "+new line"),
        *("Look at centuries.", "Use the calendar module.", "tests/test_dates.py::test_leap", "Tabs."),
    ):
        assert shown in opening
    assert "MAP" not in opening
