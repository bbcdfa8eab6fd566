"""Loads a configuration: reads the file, finds every problem in it, and resolves it when there is none."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config.build import build_settings, declared_models, instructions, vendor_settings
from pipeline.config.check_rules import check_checks, check_sandbox
from pipeline.config.defaults import defaults_in_force
from pipeline.config.expand import Variables
from pipeline.config.keys import FILE
from pipeline.config.knowledge import Knowledge
from pipeline.config.network_rules import check_network
from pipeline.config.overrides import override
from pipeline.config.own_vendors import known_vendors
from pipeline.config.price_rules import check_prices
from pipeline.config.reader import FormatReader
from pipeline.config.repo_rules import check_repo, project_folder
from pipeline.config.report import Report, in_order
from pipeline.config.rungs import StageDraft, default_efforts, stage_drafts
from pipeline.config.settings import SandboxSettings, Settings, VendorSettings
from pipeline.config.stage_rules import check_stages
from pipeline.config.text_file import read_text_file
from pipeline.config.tree import Node, Scalar, Table
from pipeline.config.vendor_rules import check_vendors
from pipeline.config.yaml_reader import read_yaml
from pipeline.problem import Position, Problem
from pipeline.surface import Surface


@dataclass(frozen=True, slots=True)
class Partial:
    """What the surroundings are asked about even where the configuration has problems.

    `users` has, for each vendor that serves a rung, the key path of the first that names it. `checks` is None
    when the names could not all be read, `sandbox` where it has problems. `efforts` says which stages run at their
    model's own effort, `addresses` where servers are that the file gives no address.
    """

    sandbox: SandboxSettings | None = None
    checks: tuple[str, ...] | None = None
    folder: str = ""
    vendors: Mapping[str, VendorSettings] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    efforts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as far as it could be loaded. `settings` is None when there are problems.

    `path` is the file as the user would name it, `positions` say where each key path stands, `notes` ask for
    nothing, `defaults` are the values in force that nobody wrote, `partial` is what could be read in any case.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    path: str
    text: str
    positions: Mapping[str, Position]
    notes: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    partial: Partial = field(default_factory=Partial)


def load(
    path: Path, *, overrides: Sequence[str], environ: Mapping[str, str], trusted: bool, shown: str | None = None
) -> Loaded:
    """Load a file with overrides (`a.b=value`) on top. Never raises for what is in the file.

    `trusted` is False for a config that was found and not named; `shown` is the path as messages name it.
    """
    report = Report(shown or str(path))
    text = read_text_file(path, report)
    return _judged(text, path.parent, overrides, environ, report, trusted=trusted)


def load_text(text: str, folder: Path, *, overrides: Sequence[str], environ: Mapping[str, str], shown: str) -> Loaded:
    """Load a text as a trusted file of a folder that is not written yet."""
    return _judged(text, folder, overrides, environ, Report(shown), trusted=True)


def _judged(
    text: str | None,
    folder: Path,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    report: Report,
    *,
    trusted: bool,
) -> Loaded:
    root = _tree(text, overrides, report) if text is not None else None
    surfaces = known_vendors(root)
    document: Any = None
    if root is not None:
        variables = Variables(environ, _key_names(root, surfaces))
        document = FormatReader(report, variables, FILE, tuple(surfaces), trusted).read(root, FILE, "")
    settings, partial = None, Partial()
    if isinstance(document, dict):
        settings, partial = _resolved(document, folder, surfaces, report, environ=environ, trusted=trusted)
    return Loaded(
        settings=settings,
        problems=in_order(report.problems),
        warnings=in_order(report.warnings),
        path=report.path,
        text=text or "",
        positions=report.positions,
        notes=tuple(report.notes),
        defaults=(*defaults_in_force(document, FILE), *partial.efforts, *partial.addresses)
        if isinstance(document, dict)
        else (),
        partial=partial,
    )


def config_lines(loaded: Loaded) -> dict[str, str]:
    """Return where each key path stands, as `file:line:column` or `command line`."""
    return {key: str(position) for key, position in loaded.positions.items()}


def canonical_json(settings: Settings) -> bytes:
    """Return the settings as JSON in the one form that is hashed and stored."""
    values = settings.model_dump(mode="json")
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def config_hash(settings: Settings) -> str:
    """Return the SHA-256 of the resolved settings, in hex."""
    return hashlib.sha256(canonical_json(settings)).hexdigest()


def settings_from_json(data: bytes) -> Settings:
    """Return the settings that `canonical_json` wrote."""
    return Settings.model_validate_json(data)


def _tree(text: str, overrides: Sequence[str], report: Report) -> Node | None:
    root, problems = read_yaml(text, report.path)
    report.problems += problems
    if root is None or (isinstance(root, Scalar) and root.empty):
        if problems:
            return None
        root = Table({}, Position(path=report.path, line=1, column=1))
    for one in overrides:
        root, problems = override(root, one)
        report.problems += problems
    return root


def _key_names(root: Node, surfaces: Mapping[str, Surface]) -> frozenset[str]:
    """Return every environment variable that holds a key: the vendors' own, and those the file names."""
    names = {variable for surface in surfaces.values() for variable in surface.key_variables}
    vendors = root.entries.get("vendors") if isinstance(root, Table) else None
    if vendors is not None and isinstance(vendors.node, Table):
        for vendor in vendors.node.entries.values():
            named = vendor.node.entries.get("api_key_env") if isinstance(vendor.node, Table) else None
            if named is not None and isinstance(named.node, Scalar):
                names.add(named.node.text)
    return frozenset(names)


def _resolved(
    document: Mapping[str, Any],
    folder: Path,
    surfaces: Mapping[str, Surface],
    report: Report,
    *,
    environ: Mapping[str, str],
    trusted: bool,
) -> tuple[Settings | None, Partial]:
    entries = document.get("vendors", {})
    drafts = stage_drafts(document, Knowledge(surfaces, document.get("models", {}), entries, report), report)
    check_stages(document, drafts, report)
    check_vendors(entries, drafts, surfaces, folder, report, trusted=trusted)
    check_checks(document, report)
    check_sandbox(document, report)
    check_repo(document, report)
    check_network(document, report, trusted=trusted)
    vendors = vendor_settings(document, drafts, folder, surfaces, environ)
    # Prices depend on models and vendors alone, and are judged even where the rest is not valid yet.
    priced = Settings.model_construct(models=declared_models(document), vendors=vendors)
    check_prices(document, drafts, priced, report)
    texts = instructions(drafts, folder, report)
    partial = _partial(document, drafts, vendors, surfaces)
    return None if report.problems else build_settings(document, drafts, texts, vendors), partial


def _partial(
    document: Mapping[str, Any],
    drafts: Sequence[StageDraft],
    vendors: Mapping[str, VendorSettings],
    surfaces: Mapping[str, Surface],
) -> Partial:
    checks = [check.get("name") if isinstance(check, dict) else None for check in document.get("checks", ())]
    users: dict[str, str] = {}
    for rung in (rung for stage in drafts for rung in stage.served_by if rung.row is not None):
        users.setdefault(rung.values["vendor"], rung.where("vendor"))
    names = tuple(name for name in checks if name is not None)
    complete = names if checks and len(names) == len(checks) else None
    written = document.get("vendors", {})
    addresses = tuple(
        f"vendors.{name}.base_url = {vendor.base_url}"
        for name, vendor in vendors.items()
        if vendor.base_url and surfaces[name].address_variables and "base_url" not in written.get(name, {})
    )
    return Partial(
        sandbox=_sandbox(document),
        checks=complete,
        folder=project_folder(document),
        vendors=vendors,
        users=users,
        efforts=default_efforts(drafts),
        addresses=addresses,
    )


def _sandbox(document: Mapping[str, Any]) -> SandboxSettings | None:
    """Return the sandbox's settings as far as they are valid by themselves."""
    try:
        return SandboxSettings(**document.get("sandbox", {}))
    except ValidationError:
        return None
