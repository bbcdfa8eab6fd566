"""The rules of the sandbox's network, and what they come to in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.keypath import child
from pipeline.config.reader import TRUST_HINT
from pipeline.config.report import Report
from pipeline.config.settings import Allowlist, SandboxSettings
from sandbox.egress_policy import Entry, HostError, parse_entry

KEY = "sandbox.network.allowlist"


def check_network(document: Mapping[str, Any], report: Report, *, trusted: bool) -> None:
    """Report what the allowlist gets wrong. Names may stand in a found config, addresses only in a named one.

    Names lead to public hosts alone; an address may be this machine's own or one of its networks.
    """
    network = document.get("sandbox", {}).get("network")
    hosts: Sequence[Any] = network.get("allowlist", ()) if isinstance(network, dict) else ()
    for index, host in enumerate(hosts):
        if not isinstance(host, str):
            continue
        key = child(KEY, index)
        try:
            entry = parse_entry(host)
        except HostError as error:
            report.refuse("SW106", key, str(error), error.hint)
            continue
        if entry.literal and not trusted and report.position(key).override is None:
            message = f"the address `{entry.host}` in a config that was found, not named"
            report.refuse("SW112", key, message, TRUST_HINT)


def network_in_words(sandbox: SandboxSettings) -> str:
    """Say who may reach what."""
    match sandbox.network:
        case Allowlist(allowlist=hosts):
            listed = ", ".join(_in_words(parse_entry(host)) for host in hosts)
            return f"{listed}; nothing else, no DNS"
        case "setup" if sandbox.dockerfile is not None:
            return "any host while the image is built, any public host while `setup` runs, then none"
        case "setup" if sandbox.setup or _may_be_proposed(sandbox):
            return "any public host while `setup` runs, then none"
        case "setup" | "none":
            return "none"


def _may_be_proposed(sandbox: SandboxSettings) -> bool:
    """Say whether the repository may propose what setup runs; see `pipeline/environments/choice.py`."""
    return sandbox.setup is None and sandbox.setup_timeout is not None and sandbox.image is None


def _in_words(entry: Entry) -> str:
    shown = f"[{entry.host}]" if ":" in entry.host else entry.host
    return f"{'*.' if entry.wildcard else ''}{shown}" + (f":{entry.port}" if entry.port else " (ports 80 and 443)")
