"""A folder for one call of a command-line program: a home, an empty work folder and a temporary one, all its own.

It may hold a copy of a login, so it is readable by its owner alone, is removed after the call, and what a killed
process left is removed by the next one: each place is locked as long as its process lives.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCK = "in-use"
NOT_LOCKED_YET = ".new-"


@dataclass(frozen=True, slots=True)
class Place:
    """The three folders; `home` is the one that programs keep their state below."""

    home: Path
    work: Path
    temporary: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file below the home and return its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def places(environ: Mapping[str, str]) -> Path:
    """Return the folder that holds the places; not the system's temporary one, where Codex refuses to work."""
    cache = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    return Path(cache) / "stagewright" / "command-lines"


@contextmanager
def private_place(root: Path) -> Iterator[Place]:
    """Make a place below `root`, and remove it and every one whose process is gone."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(root)
    unlocked = Path(tempfile.mkdtemp(dir=root, prefix=NOT_LOCKED_YET))
    with (unlocked / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = unlocked.rename(root / unlocked.name.removeprefix(NOT_LOCKED_YET))
        place = Place(folder / "home", folder / "work", folder / "temporary")
        for each in (place.home, place.work, place.temporary):
            each.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        if not folder.name.startswith(NOT_LOCKED_YET) and _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Say whether nobody holds a place's lock; a folder without one is not ours."""
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
