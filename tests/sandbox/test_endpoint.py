"""The engine is the one the `docker` command would use: host variable, context, or the first usable socket."""

import hashlib
import json
import socket
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.base import SandboxUnavailableError
from sandbox.endpoint import find_endpoint

NOWHERE = Path("/nonexistent/docker.sock")


def listening(path: Path) -> Path:
    """Make a socket file of this user's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(path))
    return path


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")


def context(home: Path, name: str, host: str, *, tls: bool = False, skip: bool = False) -> None:
    """File a context the way the `docker` command does."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker/contexts/meta" / digest
    meta.mkdir(parents=True)
    described = {"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": skip}}}
    (meta / "meta.json").write_text(json.dumps(described))
    if tls:
        files = home / ".docker/contexts/tls" / digest / "docker"
        files.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (files / file).write_text("")


def test_the_host_variable_is_first(home: Path) -> None:
    context(home, "other", "unix:///other.sock")
    found = find_endpoint({"DOCKER_HOST": "tcp://build.example:2375", "DOCKER_CONTEXT": "other"}, home, NOWHERE)
    assert (found.url, found.address, found.why) == ("tcp://build.example:2375", ("build.example", 2375), "DOCKER_HOST")


def test_the_context_variable_names_a_context(home: Path) -> None:
    context(home, "rootless", "unix:///run/user/1000/docker.sock")
    found = find_endpoint({"DOCKER_CONTEXT": "rootless"}, home, NOWHERE)
    assert found.path == "/run/user/1000/docker.sock"
    assert "rootless" in found.why


def test_the_context_in_use_is_read_from_the_command_s_own_file(home: Path) -> None:
    context(home, "desktop-linux", "unix:///d.sock")
    (home / ".docker/config.json").write_text('{"currentContext": "desktop-linux"}')
    assert find_endpoint({}, home, NOWHERE).path == "/d.sock"


def test_another_folder_of_the_command_is_respected(home: Path) -> None:
    context(home, "far", "unix:///far.sock")
    (home / ".docker/config.json").write_text('{"currentContext": "far"}')
    moved = home / "moved"
    (home / ".docker").rename(moved)
    assert find_endpoint({"DOCKER_CONFIG": str(moved)}, home, NOWHERE).path == "/far.sock"


def test_a_context_brings_its_certificates(home: Path) -> None:
    context(home, "far", "tcp://far.example", tls=True, skip=True)
    found = find_endpoint({"DOCKER_CONTEXT": "far"}, home, NOWHERE)
    assert found.tls is not None
    assert (found.address, found.tls.verify) == (("far.example", 2376), False)


def test_certificates_of_the_environment_are_used_with_the_host_variable(home: Path) -> None:
    (home / "certs").mkdir()
    (home / "certs/ca.pem").write_text("")
    variables = {"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(home / "certs")}
    tls = find_endpoint(variables, home, NOWHERE).tls
    assert tls is not None
    assert (tls.authority, tls.key, tls.verify) == (home / "certs/ca.pem", None, True)


def test_a_context_that_does_not_exist_is_said_with_where_it_is_named(home: Path) -> None:
    with pytest.raises(SandboxUnavailableError, match=r"'gone' \(DOCKER_CONTEXT\) does not exist.*docker context ls"):
        find_endpoint({"DOCKER_CONTEXT": "gone"}, home, NOWHERE)


@pytest.mark.parametrize("host", ["ssh://me@build", "ssh://build"])
def test_ssh_is_refused_with_a_way_that_works(home: Path, host: str) -> None:
    with pytest.raises(SandboxUnavailableError, match=r"DOCKER_HOST=unix:///tmp/docker\.sock"):
        find_endpoint({"DOCKER_HOST": host}, home, NOWHERE)


@pytest.mark.parametrize("host", ["npipe:////./pipe/docker", "unix://relative", "tcp://", "tcp://h:x", "gibberish"])
def test_any_other_address_is_refused_by_name(home: Path, host: str) -> None:
    with pytest.raises(SandboxUnavailableError, match="supported"):
        find_endpoint({"DOCKER_HOST": host}, home, NOWHERE)


def test_the_system_s_socket_comes_before_a_rootless_and_a_desktop_one(home: Path) -> None:
    system, runtime = listening(home / "s.sock"), home / "run"
    rootless = listening(runtime / "docker.sock")
    desktop = listening(home / ".docker/run/docker.sock")
    variables = {"XDG_RUNTIME_DIR": str(runtime)}
    assert find_endpoint(variables, home, system).path == str(system)
    assert find_endpoint(variables, home, NOWHERE).path == str(rootless)
    assert find_endpoint({}, home, NOWHERE).path == str(desktop)
    assert "found at" in find_endpoint({}, home, NOWHERE).why


def test_without_any_socket_the_places_looked_at_are_named(home: Path) -> None:
    found = find_endpoint({"XDG_RUNTIME_DIR": "/run/user/7"}, home, NOWHERE)
    assert found.path == str(NOWHERE)
    assert "/run/user/7/docker.sock" in found.why


def test_a_context_file_that_is_no_json_counts_as_none(home: Path) -> None:
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text("{")
    assert find_endpoint({}, home, NOWHERE).path == str(NOWHERE)
