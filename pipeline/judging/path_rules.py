"""The gates on the paths of one work item, whatever the tree holds: spelling, bounds, the ticket's scope. Pure."""

from collections.abc import Iterator

from pipeline.judging.globs import matches
from pipeline.judging.rejection import Rejection
from pipeline.judging.selectors import split
from pipeline.running.project_folder import is_inside
from sandbox.judgement import fold
from stages.artifacts import TicketScope, WorkItem
from stages.paths import normalise
from stages.tool import RefusedError

_PATH_BYTES = 1_000
_NAME_BYTES = 255


def path_rejections(item: WorkItem, scope: TicketScope, folder: str = "") -> Iterator[Rejection]:
    """Yield what is wrong with the item's paths; with a `folder`, only what is inside may change."""
    if not item.files:
        yield Rejection("no_files", item.id, "the item lists no file, so nothing could be changed for it")
    plain = [file.path for file in item.files if not malformed(file.path, item.id)]
    yield from (problem for file in item.files if (problem := malformed(file.path, f"{item.id}: {file.path}")))
    yield from _repeated(plain, item.id)
    for path in plain:
        yield from _beyond_ticket(path, f"{item.id}: {path}", scope)
        if not is_inside(path, folder):
            reason = f"the project is {folder} (repo.subdir), and nothing outside it may change"
            yield Rejection("outside_subdir", f"{item.id}: {path}", reason, expected=f"{folder}/…", actual=path)
    for test in item.tests:
        yield from _bad_selector(test, f"{item.id}: test {test}")


def _repeated(paths: list[str], item: str) -> Iterator[Rejection]:
    seen: dict[str, str] = {}
    for path in paths:
        place, other = f"{item}: {path}", seen.get(fold(path))
        if other == path:
            yield Rejection("duplicate_path", place, "the file is listed twice in one item; merge the two entries")
        elif other is not None:
            yield Rejection("path_case", place, f"it differs from {other} only in case or encoding", expected=other)
        seen[fold(path)] = path


def _bad_selector(test: str, place: str) -> Iterator[Rejection]:
    path, names = split(test)
    if problem := malformed(path.removesuffix("/"), place):
        yield problem
    elif not all(names):
        yield Rejection("test_selector", place, "a test is `path` or `path::name`", expected="path::name", actual=test)


def malformed(path: str, place: str) -> Rejection | None:
    """Return what is wrong with a path's spelling, None when it is plain."""
    try:
        normal = normalise(path)
    except RefusedError as refusal:
        return Rejection(refusal.code, place, refusal.reason, expected="a path relative to the root", actual=path)
    if normal != path or path.startswith("-"):
        return Rejection("path", place, f"{path!r} is not the plain spelling of a path", expected=normal, actual=path)
    if len(path.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in path.split("/")):
        return Rejection("path", place, f"the path or one of its components is longer than {_NAME_BYTES} bytes")
    if path == ".gitmodules":
        return Rejection("submodule", place, "submodules may not be added or changed")
    return None


def _beyond_ticket(path: str, place: str, scope: TicketScope) -> Iterator[Rejection]:
    if scope.allow and not any(matches(glob, path) for glob in scope.allow):
        yield Rejection(
            "ticket_scope", place, "the ticket does not allow this path", expected=", ".join(scope.allow), actual=path
        )
    denied = [glob for glob in scope.deny if matches(glob, path)]
    if denied:
        yield Rejection(
            "ticket_scope",
            place,
            f"the ticket denies {', '.join(denied)}",
            expected=f"nothing in {denied[0]}",
            actual=path,
        )
