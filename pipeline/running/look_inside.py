"""A look inside a run's work tree: the tree of an attempt, put into a new container of the same make."""

import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from pipeline.errors import UsageError
from pipeline.events import AnyEvent, AttemptEnded, ItemAccepted, SandboxStarted
from pipeline.git.base import read_base
from pipeline.git.command import Git
from pipeline.memory.journal import Journal
from pipeline.running.changes import load
from pipeline.running.kept_tree import kept_file, put_tree_back
from pipeline.running.opening import environment, objects_of, recorded_settings
from pipeline.running.run import Chronicle
from sandbox.base import Backend, BaseTree, Environment, Snapshot
from sandbox.engine import this_endpoint

COMMAND_SECONDS = 24 * 3600.0
KEPT_BYTES = 16 << 20
SHELL = 'if command -v bash > /dev/null; then exec bash "$@"; fi; exec sh "$@"'


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tree: of the last attempt, or of the last one for an item, with a number."""

    item: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What a container is made of so that it shows a run's tree, and in words which tree that is."""

    environment: Environment
    base: BaseTree
    tree: Snapshot
    words: str
    archive: Path | None = None


def view_of(journal: Journal, state_dir: Path, wanted: Wanted) -> View:
    """Read everything from the run's journal.

    :raises UsageError: the run has no such attempt, or none that left a tree.
    """
    started = Chronicle(journal).state.started
    if started is None:
        raise UsageError(f"run {journal.run_id} has no beginning in its journal")
    events = [stored.event for stored in journal.events()]
    attempt, digest, words = chosen_tree(events, wanted)
    archive = kept_file(state_dir, journal.run_id, attempt.item, attempt.number) if attempt else None
    if archive is None or not archive.is_file():
        archive = None
    else:
        words += ", with everything that was kept of its work tree"
    images = [event.image for event in events if isinstance(event, SandboxStarted)]
    made_of = environment(recorded_settings(journal).sandbox, journal.run_id)
    if images:
        made_of = replace(made_of, image=images[-1])
    git = Git(Path(started.repository), objects_of(state_dir, journal.run_id))
    tree = load(digest, journal.get) if digest else Snapshot()
    # Nobody watches what a person does there, so nothing is reachable from it.
    return View(replace(made_of, network=False, allowlist=()), read_base(git, started.base), tree, words, archive)


def chosen_tree(events: list[AnyEvent], wanted: Wanted) -> tuple[AttemptEnded | None, str | None, str]:
    """Return the attempt, if any, that left the tree, the tree's blob (None is the base), and words for it. Pure.

    :raises UsageError: no attempt is meant, or none that left a tree.
    """
    attempts = [event for event in events if isinstance(event, AttemptEnded) and event.change is not None]
    meant = [
        event for event in attempts if wanted.item in (None, event.item) and wanted.attempt in (None, event.number)
    ]
    if meant:
        last = meant[-1]
        return (
            last,
            last.change,
            f"{last.stage} {last.item or ''} attempt {last.number} ({last.outcome})".replace("  ", " "),
        )
    if wanted != Wanted():
        known = ", ".join(f"--item {event.item} --attempt {event.number}" for event in attempts) or "none"
        raise UsageError(f"no such attempt left a tree; this run has: {known}")
    accepted = [event for event in events if isinstance(event, ItemAccepted)]
    if accepted:
        return None, accepted[-1].change, f"the tree with item {accepted[-1].item} accepted"
    return None, None, "the base commit; no attempt left a tree"


async def look_inside(backend: Backend, view: View, command: str | None) -> int:
    """Run one command in such a container, or attach this terminal to a shell in it; return its exit code.

    :raises UsageError: a shell is wanted and there is no terminal, or no `docker` command to attach it.
    """
    if command is None:
        require_terminal()
    async with backend.open(view.environment, view.base) as box:
        if view.tree.files:
            await box.restore(view.tree)
        if view.archive is not None:
            await put_tree_back(box, view.archive.read_bytes())
        sys.stderr.write(f"{view.words}; the container is removed when this ends, and nothing of it is kept\n")
        if command is None:
            return await _attach(str(getattr(box, "container_id", "")))
        done = await box.exec(["sh", "-c", SHELL, "sh", "-c", command], timeout=COMMAND_SECONDS, keep_bytes=KEPT_BYTES)
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.flush()
    sys.stderr.buffer.write(done.stderr)
    if done.stdout_bytes > len(done.stdout) or done.stderr_bytes > len(done.stderr):
        sys.stderr.write(f"the middle of an output longer than {KEPT_BYTES >> 20} MiB was left out\n")
    return 1 if done.exit_code is None else done.exit_code


def require_terminal() -> None:
    """Refuse a shell that could not be attached.

    :raises UsageError: with what to type instead.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("there is no terminal to attach a shell to; type `-c COMMAND` to run one command")
    if shutil.which("docker") is None:
        raise UsageError("attaching a terminal needs the `docker` command; `-c COMMAND` works without it")


async def _attach(identifier: str) -> int:
    # The same engine as ours, whatever context the command itself would choose.
    surroundings = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
    surroundings["DOCKER_HOST"] = this_endpoint().url
    words = ["docker", "exec", "-it", identifier, "sh", "-c", SHELL]
    async with await anyio.open_process(words, stdin=None, stdout=None, stderr=None, env=surroundings) as process:
        return await process.wait()
