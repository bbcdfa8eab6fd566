"""The Debugger says who owns the failure of an exhausted stage, on what evidence, and what to do."""

from collections.abc import Sequence
from typing import Any

from stages.artifacts import Diagnosis, Owner
from stages.briefing import (
    brief,
    evidence_sections,
    feedback_sections,
    item_section,
    manifest_section,
    project_line,
    ticket_section,
)
from stages.command import run_tool
from stages.contract import Evidence, StageContext, StageResult
from stages.reading import reading_tools
from stages.schema import closed_schema
from stages.session import converse
from stages.tool import BadArgumentsError, StageTool

_RUN = (
    "Run a shell command in a scratch copy of the last implementation (default limit 120 seconds). Whatever it changes "
    "is thrown away."
)
_SUBMIT = (
    "Submit the diagnosis and end. `owner` is who must act, `evidence` the facts that show it, `brief` what the owner "
    "has to do differently, complete in itself."
)
_OWNERS: dict[Owner, str] = {
    "planner": "the manifest is wrong: scope, files, tests or instructions do not fit the ticket or the code",
    "coder": "the manifest is right and the implementation is wrong",
    "reviewer": "the review asked for something wrong",
    "ticket": "the ticket contradicts itself or the facts; a human has to decide",
    "environment": "image, setup, dependency, network or resource: no change of code in scope could help",
    "flaky": "the same code passes and fails by chance, shown by running it more than once",
}


async def run(context: StageContext) -> StageResult:
    """Diagnose: passed with a Diagnosis whose owner is on offer."""
    tools: list[StageTool[Any]] = [
        *reading_tools(context),
        run_tool(context, _RUN, item=None),
        _submit(context.owners),
    ]
    return await converse(context, tools, opening(context))


def opening(context: StageContext) -> str:
    """Return the first turn: ticket, manifest and evidence; nobody's reasoning is in its types."""
    evidence = _evidence(context)
    item = f" on work item {context.item.id}" if context.item else ""
    owners = "\n".join(f"- {owner}: {_OWNERS[owner]}" for owner in context.owners)
    return brief(
        f"The {evidence.stage} has used up its attempts{item}. Find out why and who has to act.",
        project_line(context.project_folder),
        f"Owners on offer:\n{owners}",
        ticket_section(context.ticket),
        manifest_section(context.manifest, context.accepted),
        _review_item(context),
        evidence_sections(evidence),
        _own_feedback(context),
    )


def _review_item(context: StageContext) -> str:
    # An item that a review made is in no manifest; without it nobody could tell whether the review was wrong.
    planned = context.manifest.work_items if context.manifest else ()
    if context.item is None or context.item.id in {item.id for item in planned}:
        return ""
    return item_section(context.item)


def _own_feedback(context: StageContext) -> str:
    feedback = feedback_sections(context.feedback)
    return feedback and brief("What follows is about earlier diagnoses.", feedback)


def _evidence(context: StageContext) -> Evidence:
    if context.evidence is None:
        raise ValueError("the Debugger needs evidence; StageContext.evidence is None")
    return context.evidence


def _submit(owners: Sequence[Owner]) -> StageTool[Diagnosis]:
    async def submit(diagnosis: Diagnosis) -> StageResult:
        if diagnosis.owner not in owners:
            raise BadArgumentsError(f"owner: {diagnosis.owner!r} is not on offer; choose one of {', '.join(owners)}")
        return StageResult("passed", diagnosis)

    parameters = closed_schema(Diagnosis)
    parameters["properties"]["owner"]["enum"] = list(owners)
    return StageTool("submit_diagnosis", _SUBMIT, Diagnosis, submit, terminal=True, parameters=parameters)
