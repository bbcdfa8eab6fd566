"""The Coder's writing tools. The write gate judges each proposal before a byte is written."""

from typing import Annotated, Any

from pydantic import Field

from sandbox.base import Sandbox, SandboxPathError
from stages.artifacts import Frozen, WorkItem
from stages.reading import COMMAND_SECONDS, read_bytes
from stages.replacement import replace_once
from stages.scope import admit
from stages.tool import RefusedError, StageTool

_Path = Annotated[str, Field(description="A file relative to the repository's root, in this item's scope.")]


class EditFile(Frozen):
    """One replacement in one file."""

    path: _Path
    old: Annotated[str, Field(min_length=1, description="Text that occurs exactly once in the file.")]
    new: Annotated[str, Field(description="The text that takes its place.")]


class WriteFile(Frozen):
    """A whole file."""

    path: _Path
    content: Annotated[str, Field(description="The file's whole new content.")]


class DeleteFile(Frozen):
    """A file to delete."""

    path: _Path


def editing_tools(sandbox: Sandbox, item: WorkItem) -> list[StageTool[Any]]:
    """Return the writing tools, within an item's scope."""

    async def edit_file(arguments: EditFile) -> str:
        path = await admit(arguments.path, item, sandbox, deleting=False)
        content = await read_bytes(path, sandbox)
        changed, line = replace_once(path, content, arguments.old, arguments.new)
        await _write(path, changed, sandbox)
        return f"Edited {path} at line {line}."

    async def write_file(arguments: WriteFile) -> str:
        path = await admit(arguments.path, item, sandbox, deleting=False)
        content = arguments.content.encode()
        await _write(path, content, sandbox)
        return f"Wrote {path}, {len(content)} bytes."

    async def delete_file(arguments: DeleteFile) -> str:
        path = await admit(arguments.path, item, sandbox, deleting=True)
        done = await sandbox.exec(["rm", "--", path], timeout=COMMAND_SECONDS)
        if done.exit_code != 0:
            raise RefusedError("path", done.stderr.decode(errors="replace").strip())
        await sandbox.snapshot()  # a lost sandbox is rebuilt from the last one, where the file has to be gone
        return f"Deleted {path}."

    return [
        StageTool(
            "edit_file",
            "Replace one piece of text in a file of this item's scope. `old` must occur exactly once: take in enough "
            "lines around it. Everything else in the file stays as it is, line endings included.",
            EditFile,
            edit_file,
        ),
        StageTool(
            "write_file",
            "Create a file of this item's scope, or replace all of it. Prefer edit_file for a file that exists.",
            WriteFile,
            write_file,
        ),
        StageTool("delete_file", "Delete a file this item lists as delete, or creates.", DeleteFile, delete_file),
    ]


async def _write(path: str, content: bytes, sandbox: Sandbox) -> None:
    try:
        await sandbox.write(path, content)
    except SandboxPathError as error:
        raise RefusedError("path", str(error)) from error
