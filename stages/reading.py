"""The reading tools every stage has: list files, read a file, search. All of them run in the sandbox."""

from typing import Annotated, Any

from pydantic import Field

from sandbox.base import Sandbox, SandboxPathError
from stages.artifacts import Frozen
from stages.contract import StageContext
from stages.listing import listing
from stages.paths import normalise, normalise_folder
from stages.searching import Search, search
from stages.selection import select_lines
from stages.tool import RefusedError, StageTool

READ_BYTES = 8 << 20
COMMAND_SECONDS = 60.0


class ListFiles(Frozen):
    """Which folder to list."""

    path: Annotated[str, Field(description="A folder relative to the repository's root; '.' is the root.")] = "."


class ReadFile(Frozen):
    """Which file to read, and which of its lines."""

    path: Annotated[str, Field(description="A file relative to the repository's root.")]
    start_line: Annotated[int | None, Field(ge=1, description="The first line wanted, from 1; null for all.")] = None
    end_line: Annotated[int | None, Field(ge=1, description="The last line wanted; null for the end.")] = None


def reading_tools(context: StageContext) -> list[StageTool[Any]]:
    """Return the three reading tools over an attempt's sandbox."""
    sandbox = context.sandbox

    async def list_files(arguments: ListFiles) -> str:
        return await _list(normalise_folder(arguments.path), sandbox)

    async def read_file(arguments: ReadFile) -> str:
        path = normalise(arguments.path)
        content = await read_bytes(path, sandbox)
        return select_lines(path, content, arguments.start_line, arguments.end_line)

    async def search_files(arguments: Search) -> str:
        return await search(arguments, sandbox, seconds=_seconds(context))

    return [
        StageTool(
            "list_files",
            "List the files below a folder, without those git ignores. Large folders are summed up.",
            ListFiles,
            list_files,
        ),
        StageTool(
            "read_file",
            "Read a text file exactly as it is, or some of its lines. Long text is cut at a line; a note says where.",
            ReadFile,
            read_file,
        ),
        StageTool(
            "search",
            "Search the files git does not ignore for a regular expression; answers path:line:text.",
            Search,
            search_files,
        ),
    ]


async def read_bytes(path: str, sandbox: Sandbox) -> bytes:
    """Return a file's bytes.

    :raises RefusedError: there is no such file, or it may not or cannot be read.
    """
    try:
        return await sandbox.read(path, limit=READ_BYTES)
    except SandboxPathError as error:
        raise RefusedError("path", str(error)) from error


async def _list(folder: str, sandbox: Sandbox) -> str:
    listed = await _git_paths(["--cached", "--others", "--exclude-standard"], folder, sandbox)
    deleted = await _git_paths(["--deleted"], folder, sandbox)
    paths = sorted(listed - deleted)
    if not paths:
        raise RefusedError("path", f"{folder} has no files: it does not exist, is empty, or git ignores it")
    return listing(paths, folder)


async def _git_paths(kinds: list[str], folder: str, sandbox: Sandbox) -> set[str]:
    argv = ["git", "--literal-pathspecs", "ls-files", "-z", *kinds, "--", folder]
    done = await sandbox.exec(argv, timeout=COMMAND_SECONDS, keep_bytes=READ_BYTES)
    if done.exit_code != 0:
        raise RefusedError("path", f"{folder} cannot be listed: {done.stderr.decode(errors='replace').strip()}")
    return {path.decode(errors="replace") for path in done.stdout.split(b"\0") if path}


def _seconds(context: StageContext) -> float:
    return max(1.0, min(COMMAND_SECONDS, context.remaining()))
