"""Finds everything that would stop a run, of config, tickets and surroundings, before anything is spent."""

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.config.load import Loaded, config_lines, load
from pipeline.config.locate import locate, repository_root
from pipeline.keys import key_names, key_required, vendor_key
from pipeline.loader import surface as surface_of
from pipeline.preflight.envelope import envelope
from pipeline.preflight.request import Preflight, PreflightRequest, Surroundings
from pipeline.problem import Position, PreflightError, Problem, problem
from pipeline.tickets.reading import ReadTicket, TicketError, read_with_positions, unknown_checks

__all__ = ["Preflight", "PreflightRequest", "preflight"]

# Loaded by name: an editor's look at the file alone must not wait for the libraries of Docker and git.
REPOSITORY = "pipeline.preflight.repository"
BASE_COMMIT = "pipeline.preflight.base_commit"
ENVIRONMENT = "pipeline.preflight.environment"
ENGINE = "pipeline.preflight.engine"
RUNTIME = "pipeline.preflight.runtime"
WORK_TREE = "pipeline.preflight.work_tree"
PROGRAMS = "pipeline.preflight.programs"


async def preflight(request: PreflightRequest) -> Preflight:
    """Find all problems of configuration, tickets and surroundings at once; nothing is started, nothing spent.

    :raises UsageError: a ticket argument names no ticket file.
    """
    problems: list[Problem] = []
    path, trusted, loaded = _config(request, problems)
    tickets = _tickets(request.tickets, request, loaded, problems)
    around = Surroundings()
    if not request.config_only:
        problems += _missing_keys(request, loaded)
        problems += _missing_addresses(request, loaded)
        around = await _surroundings(request, loaded, tickets)
        problems += around.problems
    warnings = loaded.warnings if loaded else ()
    if request.strict:
        problems, warnings = [*problems, *warnings], ()
    settings = loaded.settings if loaded else None
    return Preflight(
        problems=tuple(problems),
        warnings=warnings,
        notes=(*(loaded.notes if loaded else ()), *around.notes),
        settings=settings,
        config_lines=config_lines(loaded) if loaded else {},
        positions=loaded.positions if loaded else {},
        tickets=tuple(read.ticket for read in tickets),
        repository=around.repository,
        base=around.base,
        config_path=path,
        config_trusted=trusted,
        overrides=request.overrides,
        keys=_keys(request, loaded),
        envelope=envelope(settings, defaults=loaded.defaults) if settings and loaded else None,
        choice=around.choice,
    )


def _config(request: PreflightRequest, problems: list[Problem]) -> tuple[Path | None, bool, Loaded | None]:
    try:
        path, trusted = locate(request.config, request.environ, request.cwd, repository_root(request.start))
    except PreflightError as error:
        problems += error.problems
        return None, False, None
    shown = str(path.relative_to(request.cwd)) if path.is_relative_to(request.cwd) else str(path)
    loaded = load(path, overrides=request.overrides, environ=request.environ, trusted=trusted, shown=shown)
    problems += loaded.problems
    return path, trusted, loaded


def _tickets(
    arguments: Sequence[str], request: PreflightRequest, loaded: Loaded | None, problems: list[Problem]
) -> list[ReadTicket]:
    tickets = []
    for argument in arguments:
        try:
            read = read_with_positions(argument, stdin=request.stdin, cwd=request.cwd)
        except TicketError as error:
            problems += error.problems
            continue
        tickets.append(read)
        if loaded is not None and loaded.partial.checks is not None:
            problems += unknown_checks(read, loaded.partial.checks)
    return tickets


def _missing_keys(request: PreflightRequest, loaded: Loaded | None) -> list[Problem]:
    """Return a problem for each vendor in use whose key is not in the environment."""
    found = []
    for vendor, key in (loaded.partial.users if loaded else {}).items():
        settings = loaded.partial.vendors[vendor] if loaded else None
        if loaded is None or settings is None or not key_required(settings) or vendor_key(settings, request.environ):
            continue
        names = " or ".join(key_names(settings))
        message = f"the key of {vendor} is not set: {names} is empty"
        hint = f"type `export {key_names(settings)[0]}=...`"
        found.append(problem("SW406", message, hint, at=_nearest(loaded, key), key=key))
    return found


def _missing_addresses(request: PreflightRequest, loaded: Loaded | None) -> list[Problem]:
    """Return a problem for each vendor in use that neither the file nor the environment says where to reach."""
    found = []
    for vendor, key in (loaded.partial.users if loaded else {}).items():
        settings = loaded.partial.vendors[vendor] if loaded else None
        if loaded is None or settings is None or settings.surface is not None or settings.base_url is not None:
            continue
        surface = surface_of(vendor)
        if not surface.address_variables:
            continue
        named = surface.address(request.environ)
        names = " or ".join(surface.address_variables)
        message = f"the address of {vendor} is not set: {names} is empty"
        if named is not None:
            message = f"the environment says that {vendor} is at {named!r} ({names}), which is no plain address"
        hint = f"type `export {surface.address_variables[0]}=https://...`, or set vendors.{vendor}.base_url"
        found.append(problem("SW411", message, hint, at=_nearest(loaded, key), key=key))
    return found


def _nearest(loaded: Loaded, key: str) -> Position:
    return loaded.positions.get(key) or Position(path=loaded.path)


def _keys(request: PreflightRequest, loaded: Loaded | None) -> dict[str, str]:
    if loaded is None or request.config_only:
        return {}
    found = {name: vendor_key(loaded.partial.vendors[name], request.environ) for name in loaded.partial.users}
    return {name: key for name, key in found.items() if key is not None}


async def _surroundings(
    request: PreflightRequest, loaded: Loaded | None, tickets: Sequence[ReadTicket]
) -> Surroundings:
    repository: Any = importlib.import_module(REPOSITORY)
    around: Surroundings = repository.look_at_repository(request, tickets)
    sandbox = loaded.partial.sandbox if loaded else None
    environment: Any = importlib.import_module(ENVIRONMENT)
    folder = loaded.partial.folder if loaded else ""
    around = environment.with_choice(around, sandbox, folder)
    base_commit: Any = importlib.import_module(BASE_COMMIT)
    around = base_commit.look_at_base(around, folder, loaded.positions.get("repo.subdir") if loaded else None)
    work_tree: Any = importlib.import_module(WORK_TREE)
    around = replace(around, notes=work_tree.work_tree_note(around, sandbox))
    if loaded is not None:
        programs: Any = importlib.import_module(PROGRAMS)
        found = await programs.look_at_programs(loaded, request.environ)
        around = replace(around, problems=(*around.problems, *found))
    if not request.docker:
        return around
    engine: Any = importlib.import_module(ENGINE)
    at = loaded.positions.get(around.choice.key) if loaded and around.choice and around.choice.key else None
    runtime: Any = importlib.import_module(RUNTIME)
    runtime_at = loaded.positions.get("sandbox.runtime") if loaded else None
    found = *await engine.look_at_docker(around, sandbox, at), *await runtime.look_at_runtime(sandbox, runtime_at)
    return replace(around, problems=(*around.problems, *found))
