"""Makes the resolved settings out of what was read, once nothing is wrong with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import loader
from pipeline.config.keypath import child
from pipeline.config.knowledge import resolved_like
from pipeline.config.own_vendors import OWN
from pipeline.config.repo_rules import repository_settings
from pipeline.config.report import Report
from pipeline.config.rungs import StageDraft
from pipeline.config.settings import (
    CheckSettings,
    Limits,
    ModelDeclaration,
    Price,
    SandboxSettings,
    Settings,
    StageSettings,
    VendorSettings,
)
from pipeline.config.vendor_rules import vendor_address
from pipeline.surface import Surface
from stages.artifacts import STAGES, StageName

LARGEST_INSTRUCTIONS = 64 << 10


def declared_models(document: Mapping[str, Any]) -> dict[str, ModelDeclaration]:
    """Return the entries of `models:` by alias; one that only names a declared model has all of its declaration."""
    entries = document.get("models", {})
    described = {entry["id"]: entry for entry in entries.values() if isinstance(entry, dict) and "id" in entry}
    models = {}
    for alias, entry in entries.items():
        fields = described.get(entry, {"id": entry}) if isinstance(entry, str) else {"id": alias, **entry}
        like = resolved_like(fields.get("like"), entries)
        models[alias] = ModelDeclaration(id=fields["id"], like=like, prices=_price(fields.get("prices")))
    return models


def vendor_settings(
    document: Mapping[str, Any],
    drafts: Sequence[StageDraft],
    folder: Path,
    surfaces: Mapping[str, Surface],
    environ: Mapping[str, str],
) -> dict[str, VendorSettings]:
    """Return the settings of every vendor that has an entry or serves a rung."""
    entries = document.get("vendors", {})
    used = {rung.values.get("vendor") for stage in drafts for rung in stage.served_by if rung.row is not None}
    names = sorted({*entries, *used} - {None})
    return {name: _vendor(name, entries.get(name, {}), folder, surfaces[name], environ) for name in names}


def _vendor(
    name: str, entry: Mapping[str, Any], folder: Path, surface: Surface, environ: Mapping[str, str]
) -> VendorSettings:
    variables = surface.key_variables
    if "api_key" in entry:
        variables = ()
    elif "api_key_env" in entry:
        variables = (entry["api_key_env"],)
    return VendorSettings(
        name=name,
        surface=OWN if surface.name not in loader.surface_names() else None,
        api=entry.get("api"),
        base_url=entry.get("base_url") or vendor_address(surface, environ),
        key_optional=surface.key_optional and "api_key_env" not in entry,
        api_key_env=variables[0] if variables else None,
        other_key_envs=tuple(variables[1:]),
        prices={model: Price(**prices) for model, prices in entry.get("prices", {}).items() if _complete(prices)},
        command=_command(entry["command"], folder) if "command" in entry else None,
        replies=str((folder / entry["replies"]).resolve()) if "replies" in entry else None,
        max_concurrency=entry.get("max_concurrency"),
        requests_per_minute=entry.get("requests_per_minute"),
        tokens_per_minute=entry.get("tokens_per_minute"),
    )


def _command(text: str, folder: Path) -> str:
    """Return a program as it is started: a path is one of the config's folder, a word is looked for on PATH."""
    return str((folder / Path(text).expanduser()).resolve()) if "/" in text else text


def _price(entry: Mapping[str, Any] | None) -> Price | None:
    return Price(**entry) if entry is not None and _complete(entry) else None


def _complete(prices: Mapping[str, Any]) -> bool:
    return "input" in prices and "output" in prices


def instructions(drafts: Sequence[StageDraft], folder: Path, report: Report) -> dict[StageName, str]:
    """Return each stage's instructions, read from the file where a file is named."""
    texts = {}
    for stage in drafts:
        text = stage.entry.get("instructions")
        if text is not None:
            texts[stage.name] = _instructions(text, child(stage.key, "instructions"), folder, report)
    return texts


def _instructions(text: str, key: str, folder: Path, report: Report) -> str:
    one_word = not any(character.isspace() for character in text.strip())
    if "\n" in text or not (one_word or _is_file(folder / text)):
        return text
    path = (folder / text).resolve()
    if not path.is_relative_to(folder.resolve()):
        report.refuse("SW212", key, f"`{text}` leads out of the config's folder", "copy the file into it")
    elif not path.is_file():
        report.refuse(
            "SW212",
            key,
            f"there is no file `{text}` beside the config",
            "name a file of this folder, or write a sentence",
        )
    elif path.stat().st_size > LARGEST_INSTRUCTIONS:
        report.refuse("SW212", key, f"`{text}` is larger than {LARGEST_INSTRUCTIONS >> 10} KiB", "shorten it")
    else:
        return _read_text(path, text, key, report)
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a sentence can be longer than any file name
        return False


def _read_text(path: Path, text: str, key: str, report: Report) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.refuse("SW212", key, f"`{text}` cannot be read: {error}", "save it as UTF-8 text")
        return ""


def build_settings(
    document: Mapping[str, Any],
    drafts: Sequence[StageDraft],
    texts: Mapping[StageName, str],
    vendors: dict[str, VendorSettings],
) -> Settings:
    """Return the whole configuration; the document has no problem."""
    stages = {stage.name: _stage(stage, texts.get(stage.name, ""), drafts) for stage in drafts}
    return Settings(
        limits=Limits(**document["limits"]),
        planner=stages["planner"],
        coder=stages["coder"],
        debugger=stages.get("debugger"),
        reviewer=stages.get("reviewer"),
        checks=tuple(CheckSettings(**check) for check in document["checks"]),
        sandbox=SandboxSettings(**document.get("sandbox", {})),
        repo=repository_settings(document),
        vendors=vendors,
        models=declared_models(document),
    )


def _stage(draft: StageDraft, text: str, drafts: Sequence[StageDraft]) -> StageSettings:
    entry = draft.entry
    routes = {key: _routes(entry.get(key, "any_stage"), drafts) for key in ("attaches_to", "can_route_to")}
    return StageSettings(
        name=draft.name,
        rungs=tuple(rung for rung in (one.rung() for one in draft.rungs) if rung is not None),
        retry_budget=entry["retry_budget"],
        on_exhaust=entry.get("on_exhaust", "halt"),
        instructions=text,
        tokens=entry.get("tokens"),
        cost=entry.get("cost"),
        **(routes if draft.name == "debugger" else {}),
    )


def _routes(named: str | Sequence[str], drafts: Sequence[StageDraft]) -> tuple[StageName, ...]:
    configured = {stage.name for stage in drafts} - {"debugger"}
    names = configured if named == "any_stage" else {named} if isinstance(named, str) else set(named)
    return tuple(name for name in STAGES if name in names)
