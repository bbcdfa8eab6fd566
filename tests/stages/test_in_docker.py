"""The tools in a real container: what a fake on the host cannot show."""

from pathlib import Path

import pytest

from sandbox.docker import backend
from stages.coder import run
from stages.searching import Search, search
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, reply
from tests.sandbox.trees import environment, make_base
from tests.stages.setting import FILES, context_of

pytestmark = [pytest.mark.anyio, pytest.mark.docker]
MEMORY_HOG = "python3 -c 'x = bytearray(8 << 30)'"


async def test_a_whole_attempt_in_a_container(tmp_path: Path) -> None:
    model = ScriptedModel(
        reply(call("list_files", path="src"), call("search", pattern=r"year % \d+", path=None, glob="*.py")),
        reply(call("edit_file", path="src/dates.py", old="year % 4", new="year % 400")),
        reply(call("write_file", path="src/new.py", content="x = 1\n"), call("delete_file", path="README.md")),
        reply(call("run", command="echo cheat > tests/test_dates.py; id -un; [[ 1 ]] && sleep 1000", timeout=0.5)),
        reply(call("run", command=MEMORY_HOG)),
        reply(call("finish", summary="done")),
    )
    async with backend().open(environment(), make_base(tmp_path / "repository", FILES)) as sandbox:
        result = await run(context_of(model, sandbox, RecordingObserver()))
        snapshot = await sandbox.snapshot()
        reading = await search(Search(pattern="leap", path="src", glob="src/*.py"), sandbox, seconds=10)
    assert result.outcome == "passed"
    listed, found, edited, wrote, deleted, ran, hog = (entry.content for entry in model.results)
    assert listed == "src/crlf.py\nsrc/dates.py"
    assert found == "src/dates.py:2:    return year % 4 == 0"
    assert (edited, wrote, deleted) == (
        "Edited src/dates.py at line 2.",
        "Wrote src/new.py, 6 bytes.",
        "Deleted README.md.",
    )
    assert "timed out" in ran
    assert ran.endswith("[Put back, because it is out of this item's scope: tests/test_dates.py]")
    assert "out of memory" in hog or "MemoryError" in hog
    assert set(snapshot.files) == {"src/dates.py", "src/new.py", "README.md"}
    assert reading == "src/dates.py:1:def leap(year):"
