"""Show many paths in little room: all of them, or what lies directly in the folder with counts. Pure."""

from collections import Counter
from collections.abc import Sequence

from stages.excerpt import excerpt

SHOWN = 400


def listing(paths: Sequence[str], folder: str) -> str:
    """Return sorted `paths`, which lie in `folder`, one a line; too many are summed up by subfolder."""
    if len(paths) <= SHOWN:
        return excerpt("\n".join(paths))
    prefix = "" if folder == "." else f"{folder}/"
    children = Counter(_child(path, prefix) for path in paths)
    lines = [f"{child} ({count} files)" if child.endswith("/") else child for child, count in children.items()]
    note = f"[{len(paths)} files; folders are summed up, list one to see inside]"
    return excerpt("\n".join([*lines, note]))


def _child(path: str, prefix: str) -> str:
    name, slash, _ = path.removeprefix(prefix).partition("/")
    return prefix + name + slash
