"""Search the work tree with ripgrep, or with git where an image has no ripgrep."""

from typing import Annotated

from pydantic import Field

from sandbox.base import ExecResult, Sandbox
from stages.artifacts import Frozen
from stages.excerpt import excerpt
from stages.paths import normalise_folder
from stages.tool import NO_NUL, RefusedError

COLUMNS = 400
MISSING = 127
_RIPGREP = 'command -v rg >/dev/null 2>&1 || exit 127; exec rg "$@"'


class Search(Frozen):
    """What to look for, and where."""

    pattern: Annotated[
        str, Field(min_length=1, pattern=NO_NUL, description="A regular expression, matched line by line.")
    ]
    path: Annotated[str | None, Field(description="A folder or file to search; null for the whole repository.")] = None
    glob: Annotated[
        str | None, Field(pattern=NO_NUL, description="Only files like this, such as '*.py'; null for all.")
    ] = None


async def search(arguments: Search, sandbox: Sandbox, *, seconds: float) -> str:
    """Return the matching lines as `path:line:text`.

    :raises RefusedError: the pattern, glob or path does not work, or the search took longer than `seconds`.
    """
    path = normalise_folder(arguments.path or ".")
    done = await sandbox.exec(_ripgrep(arguments, path), timeout=seconds)
    if done.exit_code == MISSING:
        done = await sandbox.exec(_git_grep(arguments, path), timeout=seconds)
    return _answer(done)


def _answer(done: ExecResult) -> str:
    if done.timed_out:
        raise RefusedError("timeout", "the search took too long; narrow it with path or glob")
    # Both engines end with 2 or more on an error, yet may have found something before it.
    if done.exit_code not in (0, 1) and not done.stdout:
        raise RefusedError("search", done.stderr.decode(errors="replace").strip() or "the search failed")
    lines = done.stdout.decode(errors="replace").splitlines()
    if not lines:
        return "[no match]"
    return excerpt("\n".join(excerpt(line.removeprefix("./"), COLUMNS) for line in lines))


def _ripgrep(arguments: Search, path: str) -> list[str]:
    flags = ["--line-number", "--with-filename", "--no-heading", "--color=never", "--hidden", "--sort=path"]
    only = ["--glob", arguments.glob] if arguments.glob else []
    where = f"./{path}" if path != "." else "./"
    return ["sh", "-c", _RIPGREP, "rg", *flags, *only, "--glob", "!.git", "-e", arguments.pattern, "--", where]


def _git_grep(arguments: Search, path: str) -> list[str]:
    flags = ["--untracked", "--line-number", "-I", "--no-color", "--full-name", "-E"]
    return ["git", "grep", *flags, "-e", arguments.pattern, "--", _pathspec(arguments.glob, path)]


def _pathspec(glob: str | None, path: str) -> str:
    if glob is None:
        return f":(literal){path}"
    if "/" in glob:
        return f":(glob){glob}"
    return f":(glob)**/{glob}" if path == "." else f":(glob){path}/**/{glob}"
