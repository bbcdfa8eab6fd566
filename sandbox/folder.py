"""Runs a command in a folder of the work tree."""

from collections.abc import Sequence

# A folder that is gone is the command's failure, not the sandbox's.
_THERE = 'cd -P -- "$1" || exit 2; shift; exec "$@"'


def in_folder(folder: str, argv: Sequence[str]) -> list[str]:
    """Return the command to run so that `argv` runs in a folder, named from the root; empty is the root itself."""
    return ["sh", "-c", _THERE, "sh", f"./{folder}", *argv] if folder else [*argv]
