"""The rules of vendor entries: who takes which setting, where keys may go, which files are named."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.config.keypath import child
from pipeline.config.reader import TRUST_HINT
from pipeline.config.report import Report
from pipeline.config.rungs import StageDraft
from pipeline.surface import Surface

# What every URL parser reads the same way: no user, no backslash, no space, so that the host judged is the host called.
ADDRESS = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/%-]*)?")
SCRIPTED_KEYS = {"replies", "prices"}
PROGRAM_KEYS = {"command", "base_url"}
PACE_KEYS = {"max_concurrency", "requests_per_minute", "tokens_per_minute"}


def vendor_address(surface: Surface, environ: Mapping[str, str]) -> str | None:
    """Return where a vendor is reached when the file does not say: as the environment says, else as it usually is.

    None for the vendors whose SDK knows, and where neither says so in a form that can be used.
    """
    if not surface.apis:
        return None
    named = surface.address(environ)
    if named is None:
        return surface.default_base_url
    return named if ADDRESS.fullmatch(named) else None


def check_vendors(
    vendors: Mapping[str, Any],
    drafts: Sequence[StageDraft],
    surfaces: Mapping[str, Surface],
    folder: Path,
    report: Report,
    *,
    trusted: bool,
) -> None:
    """Report what the vendor entries get wrong."""
    for name, entry in vendors.items():
        key = child("vendors", name)
        _settings(surfaces[name], entry, key, report)
        _address(entry, key, report, trusted=trusted)
        if "replies" in entry:
            _replies(entry["replies"], child(key, "replies"), folder, report, trusted=trusted)
    _require_address(vendors, drafts, surfaces, report)
    scripted = [rung for stage in drafts for rung in stage.served_by if rung.values.get("vendor") == "scripted"]
    if scripted and "replies" not in vendors.get("scripted", {}) and "vendors.scripted.replies" not in report.positions:
        hint = "add `vendors: {scripted: {replies: replies.yaml}}`"
        report.refuse("SW105", "vendors.scripted.replies", "the required key is missing: a stage uses `scripted`", hint)


def _require_address(
    vendors: Mapping[str, Any], drafts: Sequence[StageDraft], surfaces: Mapping[str, Surface], report: Report
) -> None:
    """Refuse a server that only its address makes one, where the entry has none."""
    for name in dict.fromkeys(rung.values.get("vendor", "") for stage in drafts for rung in stage.served_by):
        surface, key = surfaces.get(name), child(child("vendors", name), "base_url")
        if surface is None or not surface.apis or surface.address_variables or surface.default_base_url:
            continue
        if "base_url" not in vendors.get(name, {}) and key not in report.positions:
            hint = 'add `base_url: "https://host/v1"` to its entry'
            report.refuse("SW105", key, f"the required key is missing: a stage uses `{name}`", hint)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _settings(surface: Surface, entry: Mapping[str, Any], key: str, report: Report) -> None:
    name = surface.name
    for setting in (setting for setting in entry if setting not in PACE_KEYS):
        odd = _odd_beside_a_program(surface, setting)
        if odd is not None:
            report.refuse("SW104", child(key, setting), odd, "remove the key")
        elif (name == "scripted") != (setting in SCRIPTED_KEYS) and setting != "prices":
            taken = "only `replies` and `prices`" if name == "scripted" else f"no `{setting}`"
            report.refuse("SW104", child(key, setting), f"the vendor `{name}` takes {taken}", "remove the key")
        elif setting == "api" and not surface.apis:
            report.refuse(
                "SW104", child(key, setting), f"`api` is for openai's protocols, {name} has one", "remove the key"
            )
    if "api_key" in entry and "api_key_env" in entry:
        message = "`api_key: none` says there is no key, and `api_key_env` names one"
        report.refuse("SW114", child(key, "api_key"), message, "keep one of the two")


def _odd_beside_a_program(surface: Surface, setting: str) -> str | None:
    """Return why a setting makes no sense for a vendor that has a program, or for one that has none."""
    if surface.program is None:
        return f"the vendor `{surface.name}` has no program to start" if setting == "command" else None
    if setting == "prices":
        return f"`{surface.name}` is paid by subscription: it has no price per token"
    if setting in PROGRAM_KEYS:
        return None
    return f"the vendor `{surface.name}` takes only `command` and `base_url`; its login is that of its program"


def _address(entry: Mapping[str, Any], key: str, report: Report, *, trusted: bool) -> None:
    here = child(key, "base_url")
    address = entry.get("base_url")
    if address is not None and not ADDRESS.fullmatch(address):
        message = "is not a plain http:// or https:// address without user, query or fragment"
        report.refuse("SW106", here, message, 'write "https://host/path"')
    elif address is not None and not is_loopback(urlsplit(address).hostname or ""):
        _distrust(here, "`base_url` beyond this machine in a config that was found, not named", report, trusted=trusted)
    if "command" in entry:
        _distrust(child(key, "command"), "a `command` in a config that was found, not named", report, trusted=trusted)
    if "api_key_env" in entry:
        here = child(key, "api_key_env")
        _distrust(here, "`api_key_env` in a config that was found, not named", report, trusted=trusted)


def _distrust(key: str, message: str, report: Report, *, trusted: bool) -> None:
    """Refuse what a found file says; what the user typed as `--set` is the user's own word."""
    if not trusted and report.position(key).override is None:
        report.refuse("SW112", key, message, TRUST_HINT)


def _replies(text: str, key: str, folder: Path, report: Report, *, trusted: bool) -> None:
    path = (folder / text).resolve()
    if not trusted and not path.is_relative_to(folder.resolve()):
        _distrust(key, "a file outside the folder of a config that was found, not named", report, trusted=trusted)
    elif not path.is_file():
        report.refuse(
            "SW212", key, f"there is no file `{text}` beside the config", "name a file relative to the config's folder"
        )
