"""What one tree changes against another, and how such a change is carried over or cut to a scope; pure."""

from collections.abc import Collection

from sandbox.base import FileState, Snapshot

Entry = tuple[bool, FileState | None]


def _entry(snapshot: Snapshot, path: str) -> Entry:
    return (path in snapshot.files, snapshot.files.get(path))


def changed_paths(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """Return the paths at which two trees of the same base differ."""
    return frozenset(path for path in {*old.files, *new.files} if _entry(old, path) != _entry(new, path))


def overlay(target: Snapshot, source: Snapshot, paths: Collection[str]) -> Snapshot:
    """Return `target` with these paths as they are in `source`."""
    files = {path: state for path, state in target.files.items() if path not in paths}
    files |= {path: source.files[path] for path in paths if path in source.files}
    return Snapshot(dict(sorted(files.items())))


def carried_over(now: Snapshot, then: Snapshot, patched: Snapshot, scope: Collection[str]) -> Snapshot | None:
    """Return `now` plus what `patched` changed against `then`.

    None when that change leaves the scope, or touches what has changed between `then` and `now`.
    """
    paths = changed_paths(then, patched)
    if not paths <= set(scope) or paths & changed_paths(then, now):
        return None
    return overlay(now, patched, paths)


def within(start: Snapshot, now: Snapshot, scope: Collection[str]) -> Snapshot:
    """Return `now` with everything outside the scope as it was at the start."""
    return overlay(start, now, changed_paths(start, now) & set(scope))
