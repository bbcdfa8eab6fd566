"""The repository as the Planner is told of it: facts extracted by machine, within a budget of characters. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from posixpath import dirname, join, normpath

from pipeline.judging.symbols import declared
from pipeline.judging.tree_view import TreeView
from pipeline.running.project_folder import is_inside

CONVENTIONS = ("AGENTS.md", "CONTRIBUTING.md", ".github/CONTRIBUTING.md", "docs/CONTRIBUTING.md")
_CONVENTIONS_CHARACTERS = 12_000
_SOURCE_BYTES = 256 << 10
_SOURCES = 3_000
_AROUND = 40
_Detail = Callable[[str], str]


def repository_map(view: TreeView, *, budget_characters: int, folder: str = "") -> str:
    """Return the repository's files with their symbols and tests, in as much detail as the budget allows.

    With a `folder`, the project, only its files are listed; around it folders are counted.
    First to go are methods, then symbols (tests last), then single files: folders are counted then.
    """
    every = sorted(view.paths())
    paths = [path for path in every if is_inside(path, folder)]
    around = _around([path for path in every if not is_inside(path, folder)], folder)
    outlines = _Outlines(view, paths)
    levels: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: (f"{_shown(path)}{outlines.all(path)}" for path in paths),
        lambda: (f"{_shown(path)}{outlines.top(path)}" for path in paths),
        lambda: (f"{_shown(path)}{outlines.tests(path)}" for path in paths),
        lambda: (_shown(path) for path in paths),
        lambda: _folders(paths),
    )
    header = f"{len(paths)} files; symbols of Python files after the colon, tests included.\n"
    for lines in levels:
        text = header + "\n".join((*lines(), *around))
        if len(text) <= budget_characters:
            return text
    return _cut(text, budget_characters)


def conventions(view: TreeView, *, folder: str = "") -> str:
    """Return what the repository asks of its contributors (`AGENTS.md` and the like), at most 12,000 characters.

    With a `folder`, the project, its own come first.
    """
    paths = view.paths()
    names = (*(join(folder, name) for name in CONVENTIONS if folder), *CONVENTIONS)
    found = [(path, _followed(path, view, paths)) for path in names if path in paths]
    sections = [f"# {path}\n\n{content.decode(errors='replace').strip()}" for path, content in found if content]
    return _cut("\n\n".join(sections), _CONVENTIONS_CHARACTERS)


def _followed(path: str, view: TreeView, paths: frozenset[str]) -> bytes | None:
    content = view.read(path)
    # Of a symlink a tree holds the target's name, and `AGENTS.md` often is one.
    target = normpath(join(dirname(path), (content or b"").decode(errors="replace")))
    return view.read(target) if target in paths else content


def _around(paths: list[str], folder: str) -> list[str]:
    if not paths:
        return []
    counts = Counter(path.partition("/")[0] + "/" * ("/" in path) for path in paths)
    shown = [_shown(name) + (f" ({count} files)" if name.endswith("/") else "") for name, count in counts.most_common()]
    more = [f"… and {len(shown) - _AROUND} more"] if len(shown) > _AROUND else []
    return ["", f"around the project {folder}, not to be changed:", *sorted(shown[:_AROUND]), *more]


class _Outlines:
    """What each Python file declares, read once and only when asked."""

    def __init__(self, view: TreeView, paths: list[str]) -> None:
        self._view = view
        self._read = set([path for path in paths if path.endswith((".py", ".pyi"))][:_SOURCES])
        self._known: dict[str, list[str]] = {}

    def all(self, path: str) -> str:
        """Return every function, class and method."""
        return _listed(self._definitions(path))

    def top(self, path: str) -> str:
        """Return what stands at module level, and tests."""
        return _listed(name for name in self._definitions(path) if "." not in name or _is_test(name))

    def tests(self, path: str) -> str:
        """Return the tests alone."""
        return _listed(name for name in self._definitions(path) if _is_test(name))

    def _definitions(self, path: str) -> list[str]:
        if path not in self._known:
            source = self._view.read(path) if path in self._read else None
            kinds = declared(path, source) if source and len(source) <= _SOURCE_BYTES else None
            self._known[path] = [name for name, kind in (kinds or {}).items() if kind == "definition"]
        return self._known[path]


def _is_test(name: str) -> bool:
    return name.rpartition(".")[2].startswith("test_")


def _listed(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return f": {text}" if text else ""


def _folders(paths: list[str]) -> Iterable[str]:
    counts: dict[str, int] = {}
    for path in paths:
        folder = str(PurePosixPath(path).parent)
        counts[folder] = counts.get(folder, 0) + 1
    return (f"{_shown(folder)}/ ({count} files)" for folder, count in sorted(counts.items()))


def _shown(path: str) -> str:
    # A name is somebody else's text: it may not break the line it stands on.
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in path)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    note = "\n[… cut: {} more characters]"
    kept = text[: max(0, limit - len(note) - 10)]
    return kept + note.format(len(text) - len(kept))
