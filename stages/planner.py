"""The Planner turns a ticket into a manifest, or asks a human the one question it cannot answer itself."""

from typing import Any

from stages.artifacts import Clarification, Failure, Manifest
from stages.briefing import brief, feedback_sections, manifest_section, project_line, section, ticket_section
from stages.contract import StageContext, StageResult
from stages.reading import reading_tools
from stages.session import converse
from stages.tool import StageTool

_SUBMIT = (
    "Submit the manifest and end. `tests` are `path` or `path::name`; symbols are dotted from their module, such as "
    "`Class.method`. Empty lists are fine for depends_on, symbols, acceptance and tests."
)
_CLARIFY = (
    "Ask a human and end, only when the ticket cannot be planned without the answer and the repository does not have "
    "it. `options` are answers to choose from; it may be empty."
)


async def run(context: StageContext) -> StageResult:
    """Plan: passed with a Manifest, or stopped with a Clarification."""
    terminals: list[StageTool[Any]] = [
        StageTool("submit_manifest", _SUBMIT, Manifest, _submit, terminal=True),
        StageTool("request_clarification", _CLARIFY, Clarification, _clarify, terminal=True),
    ]
    return await converse(context, [*reading_tools(context), *terminals], opening(context))


def opening(context: StageContext) -> str:
    """Return the first turn: ticket, map, conventions, the manifest in force, and what went wrong before."""
    return brief(
        "Plan this ticket.",
        project_line(context.project_folder),
        ticket_section(context.ticket),
        section("repository map", context.repository_map),
        section("conventions of the repository", context.conventions),
        manifest_section(context.manifest, context.accepted),
        feedback_sections(context.feedback),
    )


async def _submit(manifest: Manifest) -> StageResult:
    return StageResult("passed", manifest)


async def _clarify(clarification: Clarification) -> StageResult:
    failure = Failure(kind="clarification", message=clarification.question)
    return StageResult("stopped", clarification, failure)
