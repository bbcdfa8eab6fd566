"""What `repo.subdir` makes of paths: facts stay relative to the repository's root, commands run in the folder. Pure."""

from collections.abc import Iterable, Sequence


def is_inside(path: str, folder: str) -> bool:
    """Tell whether a path lies in the project's folder; an empty folder is the whole repository."""
    return not folder or path.startswith(f"{folder}/")


def seen_from(folder: str, selectors: Iterable[str]) -> tuple[str, ...]:
    """Return tests, `path` or `path::name`, as a command that runs in the folder names them."""
    return tuple(selector.removeprefix(f"{folder}/") if folder else selector for selector in selectors)


def in_project(folder: str, commands: Sequence[str]) -> tuple[str, ...]:
    """Return setup commands so that each runs in the folder."""
    if not folder:
        return tuple(commands)
    return tuple(f"cd -P -- {_quoted(folder)} || exit 2\n{command}" for command in commands)


def _quoted(folder: str) -> str:
    escaped = folder.replace("'", "'\\''")
    return f"'./{escaped}'"
