"""The `run` tool: a command in the sandbox, its result told truthfully and its full output archived."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

from pydantic import Field

from sandbox.base import ExecResult, Sandbox, UnacceptableChangeError
from sandbox.folder import in_folder
from stages.artifacts import Frozen, WorkItem
from stages.contract import StageContext
from stages.excerpt import excerpt
from stages.scope import out_of_scope, put_back
from stages.tool import NO_NUL, RefusedError, StageTool

DEFAULT_SECONDS = 120.0
LEAST_SECONDS = 0.1
ARCHIVED_BYTES = 4 << 20
_SHELL = 'if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; fi; exec sh -c "$1"'


class Run(Frozen):
    """A command and its time limit."""

    command: Annotated[
        str, Field(min_length=1, pattern=NO_NUL, description="A shell command, run in the project's folder.")
    ]
    timeout: Annotated[float | None, Field(gt=0, description="Seconds before it is killed; null for 120.")] = None


def run_tool(context: StageContext, description: str, *, item: WorkItem | None) -> StageTool[Run]:
    """Return the tool. With an `item`, what a command changes out of its scope is put back."""

    async def run(arguments: Run) -> str:
        execute = _executor(context, arguments)
        if item is None:
            return await _remembered(context.sandbox, execute)
        return await _within_scope(item, context.sandbox, execute)

    return StageTool("run", description, Run, run)


def _executor(context: StageContext, arguments: Run) -> Callable[[], Awaitable[str]]:
    async def execute() -> str:
        left = context.remaining()
        seconds = max(LEAST_SECONDS, min(arguments.timeout or DEFAULT_SECONDS, left))
        argv = in_folder(context.project_folder, ["sh", "-c", _SHELL, "run", arguments.command])
        done = await context.sandbox.exec(argv, timeout=seconds, merge_output=True, keep_bytes=ARCHIVED_BYTES)
        await context.observer.output(done.stdout)
        return told(done, seconds)

    return execute


def told(done: ExecResult, seconds: float) -> str:
    """Return what the model sees of a finished command. Pure; without durations, so that equal results are equal."""
    lines = [_ending(done, seconds)]
    if done.stragglers:
        lines.append(f"[{done.stragglers} processes it left running were killed]")
    if done.stdout_bytes > len(done.stdout):
        lines.append(f"[it wrote {done.stdout_bytes} bytes; the middle was not kept]")
    # A NUL is no text, and some vendors refuse a request that has one.
    text = done.stdout.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    lines.append(excerpt(text) or "[no output]")
    return "\n".join(lines)


def _ending(done: ExecResult, seconds: float) -> str:
    if done.timed_out:
        return f"[timed out: killed after {seconds:.0f} seconds]"
    if done.disk_full:
        return "[killed: the work tree grew over its limit (sandbox.disk); remove files before writing more]"
    if done.oom:
        code = "" if done.exit_code is None else f"; exit code {done.exit_code}"
        return f"[out of memory: the sandbox's limit killed it or a process of it{code}]"
    if done.exit_code is None:
        return "[killed]"
    return f"[exit code {done.exit_code}]"


async def _remembered(sandbox: Sandbox, execute: Callable[[], Awaitable[str]]) -> str:
    """Take a snapshot after the command: a lost sandbox is rebuilt from the last one."""
    result = await execute()
    with suppress(UnacceptableChangeError):
        await sandbox.snapshot()
    return result


async def _within_scope(item: WorkItem, sandbox: Sandbox, execute: Callable[[], Awaitable[str]]) -> str:
    try:
        before = await sandbox.snapshot()
    except UnacceptableChangeError as error:
        raise RefusedError(error.code, f"the work tree cannot be kept as it is: {error}; undo that first") from error
    result = await execute()
    try:
        after = await sandbox.snapshot()
    except UnacceptableChangeError as error:
        await sandbox.restore(before)
        return f"{result}\n[Everything this command changed was put back, because of {error}]"
    strayed = out_of_scope(before, after, item)
    if not strayed:
        return result
    await sandbox.restore(put_back(before, after, strayed))
    return f"{result}\n[Put back, because it is out of this item's scope: {excerpt(', '.join(strayed), 2000)}]"
