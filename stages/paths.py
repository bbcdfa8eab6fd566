"""Bring a path a model named into its one spelling inside the work tree, or refuse it. Pure."""

import re
import unicodedata

from sandbox.acceptance import refuse_path
from sandbox.base import UnacceptableChangeError
from stages.tool import RefusedError

_DRIVE = re.compile(r"^[A-Za-z]:")


def normalise(path: str) -> str:
    """Return the repository-relative spelling of a file's path, without `.` and empty components.

    :raises RefusedError: the path is absolute, climbs out, reaches into `.git`, or is not a plain name.
    """
    parts = _parts(path)
    if not parts:
        raise RefusedError("path", f"{path!r} names no file; paths are relative to the repository's root")
    return "/".join(parts)


def normalise_folder(path: str) -> str:
    """Return the spelling of a folder's path; the root, however written, is `.`.

    :raises RefusedError: as `normalise`.
    """
    return "/".join(_parts(path)) or "."


def writable(path: str) -> str:
    """Return the spelling of a path that a change may hold.

    :raises RefusedError: as `normalise`, or the path could never leave the sandbox.
    """
    spelled = normalise(path)
    try:
        refuse_path(spelled)
    except UnacceptableChangeError as error:
        raise RefusedError(error.code, str(error)) from error
    return spelled


def _parts(path: str) -> list[str]:
    if path.startswith("/") or _DRIVE.match(path):
        raise RefusedError("path", f"{path!r} is absolute; paths are relative to the repository's root")
    if "\\" in path or any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        raise RefusedError("path", f"{path!r} has a backslash, a control character or half a surrogate pair")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RefusedError("path", f"{path!r} climbs with '..'; write the path out from the repository's root")
    if any(_is_git(part) for part in parts):
        raise RefusedError("git_path", f"{path!r} leads into .git, here or on another system")
    return parts


def _is_git(part: str) -> bool:
    # What else may never leave the sandbox, such as submodules and odd names, may still be read.
    try:
        refuse_path(part)
    except UnacceptableChangeError as error:
        return error.code == "git_path"
    return False
