"""Snapshots as content-addressed JSON, so that the journal keeps each version of a file once."""

from collections.abc import Callable
from typing import Literal

from pydantic import TypeAdapter

from sandbox.base import FileMode, FileState, Snapshot
from stages.artifacts import Frozen


class _Kept(Frozen):
    path: str
    mode: FileMode
    blob: str


class _Deleted(Frozen):
    path: str
    mode: Literal["deleted"]


class _Change(Frozen):
    files: tuple[_Kept | _Deleted, ...]


_ADAPTER: TypeAdapter[_Change] = TypeAdapter(_Change)


def dump(snapshot: Snapshot, put: Callable[[bytes], str]) -> str:
    """Store a snapshot through `put`, which returns a blob's digest; return the digest of the listing."""
    paths = sorted(snapshot.files, key=str.encode)
    listing = _Change(files=tuple(_entry(path, snapshot.files[path], put) for path in paths))
    return put(_ADAPTER.dump_json(listing))


def load(digest: str, get: Callable[[str], bytes]) -> Snapshot:
    """Return the snapshot stored under `digest`."""
    listing = _ADAPTER.validate_json(get(digest))
    return Snapshot({entry.path: _state(entry, get) for entry in listing.files})


def _entry(path: str, state: FileState | None, put: Callable[[bytes], str]) -> _Kept | _Deleted:
    if state is None:
        return _Deleted(path=path, mode="deleted")
    return _Kept(path=path, mode=state.mode, blob=put(state.content))


def _state(entry: _Kept | _Deleted, get: Callable[[str], bytes]) -> FileState | None:
    return FileState(entry.mode, get(entry.blob)) if isinstance(entry, _Kept) else None
