"""The result of a run as `run --json` prints it, with its report and patch exported, all from the database."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.memory.database import Store
from pipeline.reporting.advice import resume_command
from pipeline.reporting.archive import ArchivedRun, read_run
from pipeline.reporting.document import document, refused
from pipeline.reporting.exports import export
from pipeline.reporting.report import markdown

__all__ = ["refused", "result", "resume_of"]


def result(store: Store, run_id: str, *, folder: Path | None = None, options: Sequence[str] = ()) -> dict[str, Any]:
    """Return the document of a run and write its exports below `folder`, the state folder.

    Without `folder` it is the one of the SQLite file. `options` are the words that name the database on the
    command line when it is not the default one; they go into the resume command.
    """
    run = read_run(store, run_id)
    resume = resume_of(run, options)
    exports = export(folder or _folder_of(store), run_id, report=markdown(run, resume=resume), patch=run.patch)
    return document(run, resume=resume, patch=exports.patch, report=exports.report)


def resume_of(run: ArchivedRun, options: Sequence[str] = ()) -> str | None:
    """Return the command that continues a run, None for a solved one."""
    return resume_command(run.account.run_id, run.account.ended, run.settings, options)


def _folder_of(store: Store) -> Path:
    return Path(store.engine.url.database or ".").absolute().parent
