"""Which changes of a work tree may leave it: paths, links and sizes are judged before any content moves."""

import posixpath
import re
import unicodedata
from collections.abc import Mapping

from sandbox.base import FileMode, UnacceptableChangeError

MAX_FILES = 2_000
MAX_FILE_BYTES = 10 << 20
MAX_TOTAL_BYTES = 50 << 20
MAX_PATH_BYTES = 4_000
MAX_NAME_BYTES = 255
LINK_MODE: FileMode = "120000"
SUBMODULE_MODE = "160000"
# What HFS+ leaves out when it compares names, so that `.g\u200cit` is `.git` there.
HFS_IGNORED = {chr(code) for code in (*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF)}
SHORT_GIT = re.compile(r"git~\d+")
SHORT_MODULES = re.compile(r"(gitmod|gi7eba)~\d+")


def refuse_path(path: str) -> None:
    """Refuse a path that no commit of ours may hold.

    :raises UnacceptableChangeError: `git_path`, `submodule` or `path`.
    """
    for part in path.split("/"):
        name = _as_other_systems_see(part)
        if name == ".git" or SHORT_GIT.fullmatch(name):
            raise UnacceptableChangeError("git_path", _shown(path), "leads into .git, here or on another system")
        if name == ".gitmodules" or SHORT_MODULES.fullmatch(name):
            raise UnacceptableChangeError("submodule", _shown(path), "submodules cannot be added or changed")
        if part in {"", ".", ".."}:
            raise UnacceptableChangeError("path", _shown(path), "is not a plain relative path")
    if any(_strange(character) for character in path) or "\\" in path:
        reason = "holds a line break, a control or direction character, a backslash, or is not UTF-8"
        raise UnacceptableChangeError("path", _shown(path), reason)
    if len(path.encode()) > MAX_PATH_BYTES:
        raise UnacceptableChangeError("path", _shown(path), f"is longer than {MAX_PATH_BYTES} bytes")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/")):
        raise UnacceptableChangeError("path", _shown(path), f"has a name longer than {MAX_NAME_BYTES} bytes")


def refuse_link(path: str, target: bytes) -> None:
    """Refuse a symlink that leaves the tree, or could by way of another one.

    :raises UnacceptableChangeError: `symlink`, or what its target is refused for as a path.
    """
    text = target.decode("utf-8", "surrogateescape")
    if not text or text.startswith("/") or any(_strange(character) for character in text):
        raise UnacceptableChangeError("symlink", path, "is a symlink to an absolute, empty or unreadable path")
    parts = [part for part in text.split("/") if part not in {"", "."}]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    if up > path.count("/"):
        raise UnacceptableChangeError("symlink", path, f"is a symlink out of the tree: {text[:200]}")
    if ".." in parts[up:]:
        raise UnacceptableChangeError("symlink", path, f"is a symlink with .. after a name: {text[:200]}")
    if inside := posixpath.join(*parts[up:]) if parts[up:] else "":
        refuse_path(inside)


def refuse_count(count: int) -> None:
    """Refuse a change of too many files.

    :raises UnacceptableChangeError: `too_many_files`.
    """
    if count > MAX_FILES:
        raise UnacceptableChangeError("too_many_files", f"{count} files", f"at most {MAX_FILES} files may change")


def refuse_sizes(sizes: Mapping[str, int]) -> None:
    """Refuse files, by their bytes, that are too large alone or together.

    :raises UnacceptableChangeError: `file_too_large` or `too_large`.
    """
    for path, size in sizes.items():
        if size > MAX_FILE_BYTES:
            reason = f"is {size:,} bytes; a changed file may have {MAX_FILE_BYTES:,}. Should git ignore it?"
            raise UnacceptableChangeError("file_too_large", path, reason)
    if (total := sum(sizes.values())) > MAX_TOTAL_BYTES:
        reason = f"together {total:,} bytes; a change may have {MAX_TOTAL_BYTES:,}"
        raise UnacceptableChangeError("too_large", f"{len(sizes)} files", reason)


def _as_other_systems_see(name: str) -> str:
    """Return the name as HFS+ and NTFS compare it: invisible characters, streams, trailing dots and case go."""
    visible = "".join(character for character in name if character not in HFS_IGNORED)
    return unicodedata.normalize("NFC", visible).partition(":")[0].rstrip(". ").casefold() if visible else ""


def _strange(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _shown(path: str) -> str:
    return ascii(path)[1:-1][:300]
