import pytest

from sandbox.base import Snapshot
from stages import coder, debugger
from stages.artifacts import Diagnosis, Failure
from stages.contract import Evidence
from stages.model import ToolCall
from tests.fakes.conversation import RecordingObserver, ScriptedModel, call, reply
from tests.fakes.directory_sandbox import DirectorySandbox
from tests.stages.setting import ITEM, context_of

pytestmark = pytest.mark.anyio
EVIDENCE = Evidence(
    stage="coder",
    failures=(
        Failure(kind="checks", message="first red", tests=("t::a",)),
        Failure(kind="checks", message="red again"),
    ),
    test_files={"tests/test_dates.py": "def test_leap(): ..."},
    last_output="E  assert 1900",
    last_diff="+last implementation\n",
    earlier_diffs=("+first try\n", "+second try\n"),
)
OWNERS = ("coder", "ticket")


def _diagnosis(owner: str) -> ToolCall:
    return call("submit_diagnosis", owner=owner, evidence=["t::a fails"], brief="Mind centuries.")


async def test_a_diagnosis_with_an_owner_on_offer_is_the_artifact(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(_diagnosis("coder")))
    result = await debugger.run(context_of(model, tree, RecordingObserver(), evidence=EVIDENCE, owners=OWNERS))
    assert result.outcome == "passed"
    assert result.artifact == Diagnosis(owner="coder", evidence=("t::a fails",), brief="Mind centuries.")


async def test_the_schema_offers_only_the_owners_on_offer(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(_diagnosis("coder")))
    await debugger.run(context_of(model, tree, RecordingObserver(), evidence=EVIDENCE, owners=OWNERS))
    submit = model.requests[0].tools[-1]
    assert submit.parameters["properties"]["owner"]["enum"] == ["coder", "ticket"]


async def test_an_owner_not_on_offer_is_a_bad_argument(tree: DirectorySandbox) -> None:
    model, observer = ScriptedModel(*[reply(_diagnosis("planner"))] * 3), RecordingObserver()
    result = await debugger.run(context_of(model, tree, observer, evidence=EVIDENCE, owners=OWNERS))
    assert result.outcome == "unusable"
    assert observer.codes == ["bad_arguments"] * 3
    assert "choose one of coder, ticket" in observer.refusals[0][2]


async def test_the_debugger_runs_commands_in_its_scratch_copy_without_a_scope(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(call("run", command="echo probe >> tests/test_dates.py")), reply(_diagnosis("coder")))
    await debugger.run(context_of(model, tree, RecordingObserver(), evidence=EVIDENCE, owners=OWNERS))
    assert model.results[0].content == "[exit code 0]\n[no output]"
    assert await tree.snapshot() != Snapshot()
    assert [tool.name for tool in model.requests[0].tools][3:] == ["run", "submit_diagnosis"]


async def test_the_debugger_sees_ticket_manifest_and_evidence(tree: DirectorySandbox) -> None:
    model = ScriptedModel(reply(_diagnosis("coder")))
    await debugger.run(context_of(model, tree, RecordingObserver(), evidence=EVIDENCE, owners=OWNERS))
    for shown in (
        *("Centuries are no leap years.", "Fix leap years", "first red", "red again", "t::a", "def test_leap(): ..."),
        *("E  assert 1900", "+last implementation", "+first try", "+second try", "fix-leap"),
    ):
        assert shown in model.opening
    assert "- planner:" not in model.opening


async def test_an_item_that_a_review_made_is_shown_because_no_manifest_has_it(tree: DirectorySandbox) -> None:
    item = ITEM.model_copy(update={"id": "review-1", "instructions": "Resolve: the century is wrong"})
    model = ScriptedModel(reply(_diagnosis("coder")))
    context = context_of(model, tree, RecordingObserver(), evidence=EVIDENCE, owners=OWNERS, item=item)
    await debugger.run(context)
    assert "Resolve: the century is wrong" in model.opening


async def test_nobodys_reasoning_reaches_the_debugger(tree: DirectorySandbox) -> None:
    planted = "PLANTED-REASONING"
    native = {"reasoning": planted}
    exhausted = ScriptedModel(
        reply(call("run", command="echo red; exit 1"), text=planted, native=native),
        reply(text=planted, native=native),
        reply(text=planted, native=native),
    )
    observer = RecordingObserver()
    failed = await coder.run(context_of(exhausted, tree, observer))
    assert failed.outcome == "unusable"
    assert failed.failure is not None
    evidence = Evidence("coder", (failed.failure,), {}, observer.outputs[-1].decode(), "", ())

    model = ScriptedModel(reply(_diagnosis("coder")))
    await debugger.run(context_of(model, tree, RecordingObserver(), evidence=evidence, owners=OWNERS))
    assert planted not in repr(model.requests)
    assert planted not in repr(observer.calls)
    assert "red" in model.opening
