"""Bring a path a model named into its one spelling inside the work tree, or refuse it. Pure."""

import re
import unicodedata

from stages.tool import RefusedError

_DRIVE = re.compile(r"^[A-Za-z]:")
# What HFS+ drops when it compares names: `.g<U+200C>it` opens `.git` there.
_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# What NTFS drops: trailing dots and spaces, and everything from a colon on (alternate data streams).
_NTFS_GIT = re.compile(r"^(\.git|git~1)[. ]*(:.*)?$")


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


def _parts(path: str) -> list[str]:
    if path.startswith("/") or _DRIVE.match(path):
        raise RefusedError("path", f"{path!r} is absolute; paths are relative to the repository's root")
    if "\\" in path:
        raise RefusedError("path", f"{path!r} has a backslash; components are separated by /")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        raise RefusedError("path", f"{path!r} has control characters")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RefusedError("path", f"{path!r} climbs with '..'; write the path out from the repository's root")
    if any(_is_git(part) for part in parts):
        raise RefusedError("git_folder", f"{path!r} reaches into .git, which is out of bounds")
    return parts


def _is_git(part: str) -> bool:
    return _NTFS_GIT.match(_HFS_IGNORED.sub("", part).casefold()) is not None
