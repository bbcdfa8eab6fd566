"""Open a run: a new one from what preflight found, or an earlier one from its journal."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipeline.config.load import canonical_json, config_hash, settings_from_json
from pipeline.config.settings import Allowlist, SandboxSettings, Settings
from pipeline.environments.choice import choose
from pipeline.environments.commit_files import CommitFiles
from pipeline.errors import InfrastructureError, UsageError
from pipeline.events import AttemptEnded, AttemptStarted, HumanAnswered, RunEnded, RunResumed, RunStarted
from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.git.receipt import take
from pipeline.git.repository import Repository, open_repository
from pipeline.git.tree import TreeStore
from pipeline.memory.database import Store
from pipeline.memory.journal import Journal, Stored, new_run_id
from pipeline.memory.ledger import Ledger
from pipeline.memory.redaction import redactor
from pipeline.memory.runlock import RunLock, works
from pipeline.reporting.account import working_seconds
from pipeline.running.caps import scopes
from pipeline.running.run import Chronicle, Run, Seams
from pipeline.running.system_text import system_hashes
from pipeline.state import fold
from sandbox.base import Environment
from sandbox.reaper import owner_labels
from sandbox.recipe import PYTHON
from stages.artifacts import Failure, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a new run starts from. `keys` maps vendor to key and is never stored."""

    settings: Settings
    ticket: Ticket
    repository: Repository
    base: str
    config_path: Path | None = None
    config_trusted: bool = False
    config_lines: Mapping[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """What a resume brings along: the config in force from now on, and a human's word."""

    settings: Settings
    config_path: str | None = None
    config_trusted: bool = False
    config_lines: Mapping[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    guidance: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs are kept, and who is told of each event."""

    store: Store
    state_dir: Path
    listen: Callable[[Stored], None]


@contextmanager
def new_run(place: Place, start: Start, seams: Seams) -> Iterator[Run]:
    """Yield a run that has just started; its lock is held while the context lasts."""
    run_id = new_run_id(seams.clock(), secrets.token_bytes)
    with RunLock(place.state_dir, run_id):
        journal = _journal(place, run_id, start.keys, seams)
        receipt = take(start.repository, leave_out=[place.state_dir])
        config = journal.put(canonical_json(start.settings))
        files = CommitFiles.of(Git(start.repository.path), start.base)
        choice = choose(start.settings.sandbox, files, start.settings.repo.subdir)
        started = RunStarted(
            ticket_id=start.ticket.id,
            ticket=journal.put(start.ticket.model_dump_json().encode()),
            repository=str(start.repository.path),
            base=start.base,
            config=config,
            config_hash=config_hash(start.settings),
            config_path=str(start.config_path) if start.config_path else None,
            config_trusted=start.config_trusted,
            config_lines=_kept_lines(journal, start.config_lines),
            overrides=start.overrides,
            prompts=system_hashes(start.settings),
            image=choice.name,
            image_source=choice.source,
            image_reason=choice.reason,
            image_notes=choice.notes,
            warnings=start.warnings,
            receipt=journal.put(receipt.model_dump_json().encode()),
        )
        journal.append(started)
        yield _run(place, journal, start.settings, start.keys, seams)


@contextmanager
def resumed_run(place: Place, run_id: str, resumption: Resumption, seams: Seams) -> Iterator[Run]:
    """Yield an earlier run, ready to go on where its journal ends; its lock is held while the context lasts.

    Open reservations count as spent; an attempt that was cut off is recorded as stopped.
    :raises UsageError: another process works on it, or solved it before this one could.
    """
    with RunLock(place.state_dir, run_id):
        journal = _journal(place, run_id, resumption.keys, seams)
        require_unsolved(run_id, fold(stored.event for stored in journal.events()).ended)
        resumed = RunResumed(
            config=journal.put(canonical_json(resumption.settings)),
            config_hash=config_hash(resumption.settings),
            config_path=resumption.config_path,
            config_trusted=resumption.config_trusted,
            config_lines=_kept_lines(journal, resumption.config_lines),
            overrides=resumption.overrides,
            guidance=resumption.guidance,
        )
        with place.store.begin() as connection:
            journal.append(resumed, connection)
            if resumption.guidance:
                journal.append(HumanAnswered(text=resumption.guidance), connection)
        run = _run(place, journal, resumption.settings, resumption.keys, seams)
        run.ledger.expire_open("the process that made this call ended before its answer was recorded")
        if run.state.open_attempt:
            journal.append(_cut_off(run.state.open_attempt))
        yield run


def require_unsolved(run_id: str, ended: RunEnded | None) -> None:
    """Refuse to go on with a run that is solved.

    :raises UsageError: it is; the message names its branch.
    """
    if ended is not None and ended.status == "solved":
        raise UsageError(f"run {run_id} is solved: its branch is {ended.branch}; there is nothing to resume")


def _kept_lines(journal: Journal, lines: Mapping[str, str]) -> str:
    return journal.put(json.dumps(dict(lines), sort_keys=True).encode())


def recorded_settings(journal: Journal) -> Settings:
    """Return the config that was last in force."""
    return settings_from_json(journal.get(Chronicle(journal).state.config))


def _cut_off(attempt: AttemptStarted) -> AttemptEnded:
    return AttemptEnded(
        stage=attempt.stage,
        item=attempt.item,
        number=attempt.number,
        rung=attempt.rung,
        vendor=attempt.vendor,
        model=attempt.model,
        effort=attempt.effort,
        cause=attempt.cause,
        outcome="stopped",
        failure=Failure(kind="interrupted", message="the process ended during this attempt"),
        fallback=attempt.fallback,
    )


def _journal(place: Place, run_id: str, keys: Mapping[str, str], seams: Seams) -> Journal:
    journal = Journal(place.store, run_id, clock=seams.clock, redact=redactor(keys.values()))
    journal.listen(place.listen)
    return journal


def _run(place: Place, journal: Journal, settings: Settings, keys: Mapping[str, str], seams: Seams) -> Run:
    chronicle = Chronicle(journal)
    started = chronicle.state.started
    if started is None:
        raise InfrastructureError(f"run {journal.run_id} has no beginning in its journal")
    repository = open_repository(Path(started.repository))
    git = Git(repository.path, objects_of(place.state_dir, journal.run_id))
    base = read_base(git, started.base)
    ledger = Ledger(place.store, journal, partial(works, place.state_dir))
    ledger.open_scopes(scopes(journal.run_id, settings))
    return Run(
        run_id=journal.run_id,
        ticket=Ticket.model_validate_json(journal.get(started.ticket)),
        settings=settings,
        journal=journal,
        ledger=ledger,
        chronicle=chronicle,
        repository=repository,
        git=git,
        tree=TreeStore(git, base),
        base=base,
        environment=environment(settings.sandbox, journal.run_id),
        seams=seams,
        wall_clock=max(0.0, settings.limits.wall_clock - working_seconds(journal.events())),
        state_dir=place.state_dir,
        keys=keys,
    )


def objects_of(state_dir: Path, run_id: str) -> Path:
    """Return the run's own git object directory."""
    return state_dir / "runs" / run_id / "objects"


def environment(sandbox: SandboxSettings, run_id: str) -> Environment:
    """Return what the run's containers are made of; which image, `prepared_environment` finds out."""
    return Environment(
        image=sandbox.image or PYTHON.name,
        memory=sandbox.memory,
        cpus=sandbox.cpus,
        pids=sandbox.pids,
        disk=sandbox.disk,
        allowlist=sandbox.network.allowlist if isinstance(sandbox.network, Allowlist) else (),
        labels=owner_labels(run_id),
        runtime=sandbox.runtime,
    )
