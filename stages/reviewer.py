"""The Reviewer judges the finished, green change, and approves it or asks for changes."""

from stages.artifacts import Review
from stages.briefing import (
    brief,
    checks_section,
    diff_section,
    feedback_sections,
    manifest_section,
    project_line,
    section,
    ticket_section,
)
from stages.contract import StageContext, StageResult
from stages.reading import reading_tools
from stages.session import converse
from stages.tool import BadArgumentsError, StageTool

_SUBMIT = (
    "Submit the review and end. request_changes needs at least one finding; approve may have some as remarks. `path` "
    "and `line` point to the changed file; `rule` names the rule or requirement, where there is one."
)


async def run(context: StageContext) -> StageResult:
    """Review: passed with a Review, whichever its verdict."""
    submit = StageTool("submit_review", _SUBMIT, Review, _submit, terminal=True)
    return await converse(context, [*reading_tools(context), submit], opening(context))


def opening(context: StageContext) -> str:
    """Return the first turn: ticket, manifest, conventions, check results and the final diff."""
    return brief(
        "Review this change. The work tree has it applied.",
        project_line(context.project_folder),
        ticket_section(context.ticket),
        manifest_section(context.manifest),
        section("conventions of the repository", context.conventions),
        checks_section(context.checks),
        feedback_sections(context.feedback),
        diff_section("final diff", context.diff),
    )


async def _submit(review: Review) -> StageResult:
    if review.verdict == "request_changes" and not review.findings:
        raise BadArgumentsError("findings: request_changes needs at least one finding that says what to change")
    return StageResult("passed", review)
