"""Names a Dockerfile of the repository."""

from posixpath import normpath

from stages.artifacts import Frozen


class Dockerfile(Frozen):
    """A Dockerfile by its path from the repository's root; `context` is its build folder, empty for the root."""

    path: str
    context: str
    arguments: dict[str, str] = {}
    target: str = ""


def inside(path: str) -> str | None:
    """Return a path's plain spelling from the repository's root (empty for the root); None when it leads out."""
    plain = normpath(path.replace("\\", "/"))
    if plain.startswith(("/", "../")) or plain == "..":
        return None
    return "" if plain == "." else plain
