import pytest

from stages.artifacts import Clarification, Failure
from stages.contract import Feedback
from stages.planner import run
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, reply
from tests.fakes.directory_sandbox import DirectorySandbox
from tests.stages.setting import MANIFEST, context_of

pytestmark = pytest.mark.anyio
SUBMIT = call("submit_manifest", **MANIFEST.model_dump(mode="json"))


async def test_a_submitted_manifest_is_the_artifact(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(SUBMIT))
    result = await run(context_of(model, tree, RecordingObserver()))
    assert (result.outcome, result.artifact, result.failure) == ("passed", MANIFEST, None)


async def test_a_clarification_stops_with_its_question(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(call("request_clarification", question="Julian too?", options=["yes", "no"])))
    result = await run(context_of(model, tree, RecordingObserver()))
    assert result.outcome == "stopped"
    assert result.artifact == Clarification(question="Julian too?", options=("yes", "no"))
    assert result.failure is not None
    assert (result.failure.kind, result.failure.message) == ("clarification", "Julian too?")


async def test_the_planner_reads_and_changes_nothing(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(SUBMIT))
    await run(context_of(model, tree, RecordingObserver()))
    names = [tool.name for tool in model.requests[0].tools]
    assert names == ["list_files", "read_file", "search", "submit_manifest", "request_clarification"]


async def test_a_manifest_that_does_not_fit_its_type_says_where(tree: DirectorySandbox) -> None:
    broken = MANIFEST.model_dump(mode="json")
    broken["work_items"][0]["files"][0]["operation"] = "rename"
    model = ScriptedModel(reply(call("submit_manifest", **broken)), reply(SUBMIT))
    assert (await run(context_of(model, tree, RecordingObserver()))).outcome == "passed"
    assert "work_items.0.files.0.operation" in model.last_turn.results[0].content


async def test_the_planner_sees_ticket_map_conventions_and_why_it_is_asked_again(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(SUBMIT))
    feedback = Feedback(failure=Failure(kind="gate", code="path_missing", message="src/gone.py does not exist"))
    await run(
        context_of(
            model,
            tree,
            RecordingObserver(),
            repository_map="src/dates.py: leap",
            conventions="Tabs.",
            feedback=feedback,
            accepted=("first-item",),
        )
    )
    for shown in (
        *("1900 is none", "src/dates.py: leap", "Tabs.", "path_missing", "src/gone.py does not exist", "first-item"),
    ):
        assert shown in model.opening
