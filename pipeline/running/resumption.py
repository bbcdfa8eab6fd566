"""Work out what a resume goes on with: the recorded config, or what was given again, and what is kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config.load import config_hash, config_lines, load, settings_from_json
from pipeline.config.settings import Settings
from pipeline.errors import UsageError
from pipeline.events import RunResumed, RunStarted
from pipeline.keys import key_names, key_required, vendor_key
from pipeline.memory.database import Store
from pipeline.memory.journal import Journal
from pipeline.memory.ledger import Ledger
from pipeline.problem import PreflightError, Problem, problem
from pipeline.reporting.account import Spending, account, decimal_text
from pipeline.reporting.archive import reading
from pipeline.running.opening import Resumption, require_unsolved
from stages.artifacts import STAGES


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line of a resume brings along."""

    config: Path | None = None
    overrides: tuple[str, ...] = ()
    guidance: str | None = None


@dataclass(frozen=True, slots=True)
class GoingOn:
    """What the run goes on with, and what its user should know first."""

    resumption: Resumption
    notes: tuple[str, ...]


def resumption(store: Store, run_id: str, given: Given, environ: Mapping[str, str]) -> GoingOn:
    """Return what to go on with.

    :raises UsageError: the run is solved already, or its config file changed and was not given again.
    :raises PreflightError: the config given has problems, or a key is not set.
    """
    journal = reading(store, run_id)
    told = account(journal.events(), Ledger(store, journal).calls())
    require_unsolved(run_id, told.ended)
    in_force = next(reversed(told.each(RunResumed)), told.started)
    chosen = _chosen(journal, in_force, given, environ)
    going_on = replace(chosen, guidance=given.guidance, keys=_keys(chosen.settings, environ))
    return GoingOn(going_on, (_kept(run_id, told.spending, len(told.state.accepted)),))


def _kept(run_id: str, spent: Spending, items: int) -> str:
    cost = f", ${decimal_text(spent.cost)}" if spent.cost is not None else ""
    return (
        f"resuming {run_id}: {spent.calls} calls{cost}, not paid again; {items} accepted item(s) kept; "
        "an attempt that did not finish runs again"
    )


def _chosen(
    journal: Journal, in_force: RunStarted | RunResumed, given: Given, environ: Mapping[str, str]
) -> Resumption:
    """Return the config in force from now on: the recorded one, unless something was given."""
    path, trusted = in_force.config_path, in_force.config_trusted
    if given.config is None and not given.overrides:
        recorded = settings_from_json(journal.get(in_force.config))
        return Resumption(
            config_lines=_recorded_lines(journal, in_force),
            settings=recorded,
            config_path=path,
            config_trusted=trusted,
            overrides=in_force.overrides,
        )
    overrides = given.overrides
    if given.config is not None:
        path, trusted = str(given.config.absolute()), True
    elif path is None:
        raise UsageError("the config this run started with was no file; name one with --config")
    else:
        overrides = (*in_force.overrides, *given.overrides)
        _require_unchanged(Path(path), in_force, environ, trusted=trusted)
    loaded = load(Path(path), overrides=overrides, environ=environ, trusted=trusted)
    if loaded.settings is None:
        raise PreflightError(loaded.problems)
    return Resumption(
        settings=loaded.settings,
        config_path=path,
        config_trusted=trusted,
        config_lines=config_lines(loaded),
        overrides=overrides,
    )


def _recorded_lines(journal: Journal, in_force: RunStarted | RunResumed) -> dict[str, str]:
    lines: dict[str, str] = json.loads(journal.get(in_force.config_lines)) if in_force.config_lines else {}
    return lines


def _require_unchanged(
    path: Path, in_force: RunStarted | RunResumed, environ: Mapping[str, str], *, trusted: bool
) -> None:
    """Refuse to put overrides on top of a file that is no longer what the run knows."""
    before = load(path, overrides=in_force.overrides, environ=environ, trusted=trusted)
    if before.settings is None or config_hash(before.settings) != in_force.config_hash:
        raise UsageError(
            f"{path} is not what this run last used; name it with `--config {path}` to go on with it as it is now"
        )


def _keys(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the key of every vendor that any rung uses.

    :raises PreflightError: naming each vendor whose key is not set.
    """
    stages = filter(None, map(settings.stage, STAGES))
    vendors = [settings.vendors[name] for name in dict.fromkeys(r.vendor for stage in stages for r in stage.served_by)]
    keys = {vendor.name: vendor_key(vendor, environ) for vendor in vendors if key_names(vendor)}
    missing = [vendor for vendor in vendors if key_required(vendor) and keys[vendor.name] is None]
    if missing:
        raise PreflightError([_missing(vendor.name, key_names(vendor)) for vendor in missing])
    return {name: key for name, key in keys.items() if key is not None}


def _missing(vendor: str, names: tuple[str, ...]) -> Problem:
    message = f"the key of {vendor} is not set: {' or '.join(names)} is empty"
    return problem("SW406", message, f"type `export {names[0]}=...` and resume again")
