"""A run that was opened on a repository of given files, and not driven."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio

from pipeline.config.settings import SandboxSettings
from pipeline.git.repository import open_repository
from pipeline.memory.database import open_store
from pipeline.running.opening import Place, Start, new_run
from pipeline.running.run import Run, Seams
from stages.artifacts import Ticket
from tests.fakes.brain_model import Cast
from tests.git.repositories import make_repository
from tests.runner.scenario import FolderBackend, settings


@contextmanager
def opened_run(
    folder: Path, files: Mapping[str, str], sandbox: SandboxSettings, said: list[str] | None = None
) -> Iterator[Run]:
    """Yield a run of a ticket on a repository with one commit."""
    path = make_repository(folder / "repository", {name: text.encode() for name, text in files.items()})
    repository = open_repository(path)
    assert repository.head
    start = Start(
        settings=settings(sandbox=sandbox),
        ticket=Ticket(id="t", title="t", body="t"),
        repository=repository,
        base=repository.head,
    )
    store = open_store(f"sqlite:///{folder / 'state.sqlite'}")
    heard = said if said is not None else []
    seams = Seams(
        backend=FolderBackend(), connect=Cast({}).connect, clock=time.time, sleep=anyio.sleep, say=heard.append
    )
    with new_run(Place(store, folder / "state", lambda _: None), start, seams) as run:
        yield run
    store.close()
