from typing import Any

import pytest

from stages.artifacts import Finding, Review
from stages.contract import CheckSummary
from stages.reviewer import run
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, reply
from tests.fakes.directory_sandbox import DirectorySandbox
from tests.stages.setting import context_of

pytestmark = pytest.mark.anyio
FINDING: dict[str, Any] = {"severity": "major", "path": "a.py", "line": 3, "rule": None, "message": "1900 is wrong"}
APPROVE = call("submit_review", verdict="approve", findings=[])


@pytest.mark.parametrize("verdict", ["approve", "request_changes"])
async def test_a_review_with_findings_passes_whatever_its_verdict(tree: DirectorySandbox, verdict: str) -> None:
    model = ScriptedModel(reply(call("submit_review", verdict=verdict, findings=[FINDING])))
    result = await run(context_of(model, tree, RecordingObserver()))
    assert result.outcome == "passed"
    assert isinstance(result.artifact, Review)
    assert result.artifact.verdict == verdict
    assert result.artifact.findings == (Finding(severity="major", path="a.py", line=3, message="1900 is wrong"),)


async def test_a_request_for_changes_needs_a_finding(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(call("submit_review", verdict="request_changes", findings=[])), reply(APPROVE))
    assert (await run(context_of(model, tree, RecordingObserver()))).outcome == "passed"
    assert "at least one finding" in model.last_turn.results[0].content


async def test_three_requests_without_a_finding_are_unusable(tree: DirectorySandbox) -> None:
    model = ScriptedModel(*[reply(call("submit_review", verdict="request_changes", findings=[]))] * 3)
    assert (await run(context_of(model, tree, RecordingObserver()))).outcome == "unusable"


async def test_the_reviewer_sees_ticket_manifest_diff_conventions_and_checks_and_changes_nothing(
    tree: DirectorySandbox,
) -> None:
    model = ScriptedModel(reply(APPROVE))
    checks = (CheckSummary("tests", "passed", green=True, summary="12 passed"),)
    await run(context_of(model, tree, RecordingObserver(), diff="+final\n", conventions="Tabs.", checks=checks))
    for shown in ("Leap years", "Fix leap years", "+final", "Tabs.", "tests: green (passed)", "12 passed"):
        assert shown in model.opening
    assert [tool.name for tool in model.requests[0].tools] == ["list_files", "read_file", "search", "submit_review"]
