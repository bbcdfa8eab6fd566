"""The Coder carries out one work item with tools in the sandbox, within the item's scope."""

from typing import Any

from sandbox.base import Snapshot, UnacceptableChangeError
from stages.artifacts import Failure, Finish, ScopeRequest, WorkItem
from stages.briefing import (
    brief,
    feedback_sections,
    item_section,
    manifest_section,
    project_line,
    section,
    ticket_section,
)
from stages.command import run_tool
from stages.contract import StageContext, StageResult
from stages.editing import editing_tools
from stages.paths import normalise
from stages.reading import reading_tools
from stages.session import converse
from stages.tool import BadArgumentsError, RefusedError, StageTool

_RUN = (
    "Run a shell command in the sandbox (default limit 120 seconds; there may be no network). What it changes outside "
    "this item's scope is put back afterwards and named in the result; files git ignores are left alone."
)
_FINISH = "Say that the item is done, with a short summary of the change, and end. The checks run after it."
_REQUEST = (
    "End and ask for a wider scope, when the item cannot be done within it. Name every further path that is needed."
)


async def run(context: StageContext) -> StageResult:
    """Carry out the item: passed with a Finish, stopped with a ScopeRequest, or no_progress."""
    item = _item(context)
    start = await context.sandbox.snapshot()
    tools: list[StageTool[Any]] = [
        *reading_tools(context),
        *editing_tools(context.sandbox, item),
        run_tool(context, _RUN, item=item),
        _request_scope(context),
        _finish(context, start),
    ]
    return await converse(context, tools, opening(context))


def opening(context: StageContext) -> str:
    """Return the first turn: ticket, manifest, item, conventions, and what the last attempt taught."""
    wider = "" if context.may_request_scope else "The scope cannot be widened in this attempt."
    return brief(
        f"Carry out work item {_item(context).id}.",
        project_line(context.project_folder),
        wider,
        ticket_section(context.ticket),
        manifest_section(context.manifest, context.accepted),
        item_section(_item(context)),
        section("conventions of the repository", context.conventions),
        feedback_sections(context.feedback),
    )


def _item(context: StageContext) -> WorkItem:
    if context.item is None:
        raise ValueError("the Coder needs a work item; StageContext.item is None")
    return context.item


def _request_scope(context: StageContext) -> StageTool[ScopeRequest]:
    async def request_scope(request: ScopeRequest) -> StageResult:
        if not context.may_request_scope:
            raise RefusedError("scope_request", "the scope cannot be widened any more; do what the item's scope allows")
        try:
            paths = tuple(normalise(path) for path in request.paths)
        except RefusedError as refusal:
            raise BadArgumentsError(refusal.reason) from refusal
        wanted = ScopeRequest(paths=paths, reason=request.reason)
        failure = Failure(kind="scope", message=f"{', '.join(paths)}: {request.reason}")
        return StageResult("stopped", wanted, failure)

    return StageTool("request_scope", _REQUEST, ScopeRequest, request_scope, terminal=True)


def _finish(context: StageContext, start: Snapshot) -> StageTool[Finish]:
    async def finish(summary: Finish) -> StageResult:
        try:
            now = await context.sandbox.snapshot()
        except UnacceptableChangeError as error:
            raise RefusedError(error.code, f"the work tree cannot be kept as it is: {error}; undo that") from error
        if context.progress_required and now == start:
            message = "the attempt ended without a change to the work tree it began with"
            return StageResult("no_progress", failure=Failure(kind="no_progress", code="no_change", message=message))
        return StageResult("passed", summary)

    return StageTool("finish", _FINISH, Finish, finish, terminal=True)
