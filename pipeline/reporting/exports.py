"""Writes a run's report and patch as plain files below the state folder, rebuilt from the database each time."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class Exports:
    """Where the files of a run are; `patch` is None for a run that kept no change."""

    report: Path
    patch: Path | None


def export(folder: Path, run_id: str, *, report: str, patch: bytes | None) -> Exports:
    """Write the files of one run below `folder` and return their paths; what was there is replaced."""
    home = folder / "runs" / run_id
    home.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    written = _write(home / "report.md", report.encode())
    return Exports(report=written, patch=_write(home / "change.patch", patch) if patch else None)


def _write(path: Path, content: bytes) -> Path:
    """Replace a file in one step. Its mode is 0600, as `mkstemp` makes it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(name).rename(path)
