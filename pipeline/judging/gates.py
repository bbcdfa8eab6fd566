"""The deterministic gates of a manifest and of a change: all problems at once, each with its code. Pure."""

import re
from collections.abc import Iterator, Sequence

from pipeline.items import settled
from pipeline.judging.content_rules import pointer_rejections
from pipeline.judging.ground import Ground
from pipeline.judging.item_rules import file_rejections, test_rejections
from pipeline.judging.path_rules import path_rejections
from pipeline.judging.rejection import Rejection, as_failure
from pipeline.judging.symbols import enclosing, lost_symbols
from pipeline.judging.tree_view import ChangeView, TreeView
from stages.artifacts import Failure, FileChange, Manifest, Ticket, WorkItem
from stages.scope import scope_refusal

__all__ = ["ChangeView", "TreeView", "change_failure", "manifest_failures"]
_USABLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_REVIEW_ID = re.compile(r"review-\d+", re.IGNORECASE)


def manifest_failures(  # noqa: PLR0913 - what a manifest is judged against comes in by name
    manifest: Manifest,
    *,
    view: TreeView,
    ticket: Ticket,
    accepted: Sequence[str],
    limit: int,
    done: Sequence[WorkItem] = (),
    folder: str = "",
) -> Failure | None:
    """Return one failure that lists everything wrong with a manifest, None when the Coder may start.

    `view` is base plus the accepted items, `limit` the highest number of items, the accepted ones included. `done`
    are accepted items as they were planned, in whichever manifest. Nothing outside `folder` may change; empty for
    no such folder.
    """
    rejections = [
        *_count_rejections(manifest, accepted, limit),
        *_id_rejections(manifest),
        *_dependency_rejections(manifest, accepted),
        *(rejection for item in manifest.work_items for rejection in path_rejections(item, ticket.scope, folder)),
    ]
    return as_failure([*rejections, *_tree_rejections(manifest, view, accepted, done)])


def change_failure(before: ChangeView, after: ChangeView, item: WorkItem) -> Failure | None:
    """Return one failure that lists everything a change did beyond its item, None when it stays within."""
    rules = (_scope_rejections, _symbol_rejections, pointer_rejections)
    return as_failure([rejection for rule in rules for rejection in rule(before, after, item)])


def _count_rejections(manifest: Manifest, accepted: Sequence[str], limit: int) -> Iterator[Rejection]:
    ids = {item.id for item in manifest.work_items}
    if ids <= set(accepted):
        yield Rejection(
            "no_open_item",
            "work_items",
            "every item is accepted already" if ids else "there is no work item",
            expected="at least one item that is not accepted yet",
            actual="none",
        )
    total = len(ids | {item for item in accepted if not _REVIEW_ID.fullmatch(item)})
    if total > limit:
        yield Rejection(
            "too_many_items",
            "work_items",
            f"{total} items, the accepted ones included, are more than limits.work_items",
            expected=f"at most {limit}",
            actual=str(total),
        )


def _id_rejections(manifest: Manifest) -> Iterator[Rejection]:
    seen: set[str] = set()
    for item in manifest.work_items:
        if item.id in seen:
            yield Rejection("duplicate_id", item.id, "two items have this id", expected="unique ids", actual=item.id)
        seen.add(item.id)
        if _REVIEW_ID.fullmatch(item.id):
            yield Rejection("reserved_id", item.id, "`review-N` names the items a review makes; choose another id")
        elif not _USABLE_ID.fullmatch(item.id):
            yield Rejection(
                "unusable_id",
                item.id,
                "an id is 1 to 60 letters, digits, dots, hyphens and underscores, and starts with a letter or digit",
                expected="such as add-parser",
                actual=item.id,
            )


def _dependency_rejections(manifest: Manifest, accepted: Sequence[str]) -> Iterator[Rejection]:
    dependencies = {item.id: set(item.depends_on) for item in manifest.work_items}
    known = dependencies.keys() | set(accepted)
    for item in manifest.work_items:
        for missing in sorted(set(item.depends_on) - known):
            yield Rejection(
                "unknown_dependency",
                item.id,
                f"it depends on {missing!r}, which is no item",
                expected=f"one of {', '.join(sorted(known))}",
                actual=missing,
            )
    order = settled(dependencies)
    if stuck := [item for item in dependencies if item not in order]:
        yield Rejection(
            "dependency_cycle",
            stuck[0],
            f"these items wait for one another: {', '.join(stuck)}",
            expected="dependencies without a cycle",
            actual=" -> ".join(stuck),
        )


def _tree_rejections(
    manifest: Manifest, view: TreeView, accepted: Sequence[str], done: Sequence[WorkItem]
) -> Iterator[Rejection]:
    """Judge each open item on base, accepted items, and what the items before it declare."""
    items = {item.id: item for item in manifest.work_items}
    ground = Ground(view)
    for item in (*done, *manifest.work_items):
        if item.id in accepted:
            ground.count_on(item)
    order = settled({item.id: set(item.depends_on) for item in manifest.work_items})
    for item in (items[name] for name in order if name not in accepted):
        yield from file_rejections(item, ground)
        ground.declare(item)
        yield from test_rejections(item, ground)


def _scope_rejections(before: ChangeView, after: ChangeView, item: WorkItem) -> Iterator[Rejection]:
    listed = {file.path for file in item.files}
    missing = object()
    was, now = before.snapshot.files, after.snapshot.files
    for path in sorted(was.keys() | now.keys()):
        # Without an entry the file is as the base commit has it: something was undone.
        undone = path in listed and path not in now
        if undone or was.get(path, missing) == now.get(path, missing):
            continue
        deleting = path in now and now[path] is None
        if refusal := scope_refusal(path, item, deleting=deleting):
            yield Rejection(refusal.code, path, refusal.reason, expected="a change within the item", actual=path)


def _symbol_rejections(before: ChangeView, after: ChangeView, item: WorkItem) -> Iterator[Rejection]:
    for file in item.files:
        source, result = before.read(file.path), after.read(file.path)
        if source is None or result is None or source == result:
            continue
        for name in _unlisted(lost_symbols(file.path, source, result), file):
            yield Rejection(
                "symbol_removed",
                f"{file.path}: {name}",
                f"{name} disappeared, which the item does not list with operation remove; keep it",
                expected=f"{name} is still there",
                actual="it is gone",
            )


def _unlisted(lost: frozenset[str], file: FileChange) -> list[str]:
    """Return the lost symbols that may not be, without those that went with the class around them."""
    removable = {symbol.name for symbol in file.symbols if symbol.operation == "remove"}
    return sorted(
        name for name in lost if not any(outer in removable or outer in lost - {name} for outer in enclosing(name))
    )
