"""A tree as the gates and the repository map see it: paths and bytes, wherever they come from."""

from typing import Protocol

from sandbox.base import Snapshot


class TreeView(Protocol):
    """The files of one tree."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file of this path."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is no such file."""
        ...

    def paths(self) -> frozenset[str]:
        """Return every file's path."""
        ...


class ChangeView(TreeView, Protocol):
    """A tree that knows how it differs from the base commit."""

    @property
    def snapshot(self) -> Snapshot:
        """Return what differs from the base commit."""
        ...
