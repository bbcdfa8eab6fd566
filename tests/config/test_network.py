"""What a config says about the network is read, refused with its place, shown, and handed to the containers."""
# ruff: noqa: E501 - the printed lines are kept whole, to be compared and searched for

from pathlib import Path

import pytest

from pipeline.config.load import canonical_json, settings_from_json
from pipeline.config.settings import Allowlist
from pipeline.preflight.envelope import envelope, render
from pipeline.running.opening import environment
from tests.config.files import SOUND, loaded, problem_lines

HOSTS = 'sandbox:\n  network:\n    allowlist: [api.test, "*.example.org", "mirror.example:8443", "127.0.0.1:3141"]\n'
WRONG = {
    "a page": ('"https://api.test/simple"', "31:25: sandbox.network.allowlist.0: `https://api.test/simple` is an address of a page, not a host; write its host alone, such as api.test"),
    "everything": ('"*"', "31:25: sandbox.network.allowlist.0: `*` is not a host name; write a host such as api.test, *.example.org or example.org:8443"),
    "half the world": ('"*.com"', "31:25: sandbox.network.allowlist.0: `*.com` is too wide; write at least two names after `*.`, such as *.example.org"),
    "no port": ('"api.test:https"', "31:25: sandbox.network.allowlist.0: `https` is not a port; write a port from 1 to 65535, an IPv6 address in brackets"),
    "this machine at any port": ("127.0.0.1", "31:25: sandbox.network.allowlist.0: its address is this machine itself: `127.0.0.1` needs a port; write `127.0.0.1:8080` with the port meant"),
    "an address in disguise": ('"0x7f.1"', "31:25: sandbox.network.allowlist.0: `0x7f.1` is not an address; write a host such as api.test, *.example.org or example.org:8443"),
    "the second of two": ('api.test, "a b"', "31:35: sandbox.network.allowlist.1: `a b` is not a host name; write a host such as api.test, *.example.org or example.org:8443"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_an_entry_that_names_no_host_is_refused_at_its_place(name: str, tmp_path: Path) -> None:
    written, line = WRONG[name]
    found = loaded(tmp_path, SOUND + f"sandbox:\n  network: {{allowlist: [{written}]}}\n")
    assert problem_lines(found) == [f"SW106 pipeline.yaml:{line}"]


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("{allowlist: []}", "SW105 pipeline.yaml:30:21: sandbox.network.allowlist: is empty; at least one is needed"),
        ("{}", "SW105 pipeline.yaml:30:11: sandbox.network.allowlist: the required key is missing; add `allowlist: [api.test]`: hosts that setup and every other command may reach"),
        ("{whitelist: [a.org]}", "SW104 pipeline.yaml:30:21: sandbox.network.whitelist: unknown key; did you mean `allowlist`?"),
        ("{hosts: [a.org]}", "SW104 pipeline.yaml:30:21: sandbox.network.hosts: unknown key; did you mean `allowlist`?"),
        ("host", "SW106 pipeline.yaml:30:11: sandbox.network: `host` is not one of none, setup; write `none` or `setup`"),
    ],
)  # fmt: skip
def test_a_network_of_another_shape_is_refused(written: str, line: str, tmp_path: Path) -> None:
    assert problem_lines(loaded(tmp_path, SOUND + f"sandbox: {{network: {written}}}\n")) == [line]


def test_hosts_reach_the_containers_as_they_are_written(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SOUND + HOSTS).settings
    assert settings is not None
    written = ("api.test", "*.example.org", "mirror.example:8443", "127.0.0.1:3141")
    assert settings.sandbox.network == Allowlist(allowlist=written)
    assert settings_from_json(canonical_json(settings)) == settings
    made_of = environment(settings.sandbox, "run")
    assert (made_of.allowlist, made_of.network) == (written, False)


def test_a_found_config_may_name_hosts_but_no_addresses(tmp_path: Path) -> None:
    line = "SW112 pipeline.yaml:32:67: sandbox.network.allowlist.3: the address `127.0.0.1` in a config that was found, not named; name it with --config if you trust it"
    assert problem_lines(loaded(tmp_path, SOUND + HOSTS, trusted=False)) == [line]
    typed = ["sandbox.network.allowlist=[api.test, '127.0.0.1:3141']"]
    assert problem_lines(loaded(tmp_path, SOUND, overrides=typed, trusted=False)) == []


SETUP = "setup: [make], setup_timeout: 1m, "


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("", "network: none"),
        (f"sandbox: {{{SETUP}network: none}}", "network: none"),
        (f"sandbox: {{{SETUP}network: setup}}", "network: any public host while `setup` runs, then none"),
        (HOSTS, "network: api.test (ports 80 and 443), *.example.org (ports 80 and 443), mirror.example:8443, 127.0.0.1:3141; nothing else, no DNS"),
        ('sandbox: {network: {allowlist: ["B\u00fccher.example."]}}', "network: xn--bcher-kva.example (ports 80 and 443); nothing else, no DNS"),
    ],
)  # fmt: skip
def test_check_says_what_can_be_reached(written: str, line: str, tmp_path: Path) -> None:
    settings = loaded(tmp_path, SOUND + written).settings
    assert settings is not None
    assert f"  {line}\n" in render(envelope(settings))
