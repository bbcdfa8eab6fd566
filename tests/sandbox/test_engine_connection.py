"""A connection to an engine: versions that do not fit are said, nothing leaks, and TLS carries a whole sandbox."""

import gc
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import anyio
import pytest
import requests

from sandbox.base import BaseTree, SandboxUnavailableError
from sandbox.connection import connect, negotiated_version
from sandbox.docker import backend
from sandbox.endpoint import Endpoint
from sandbox.engine import engine_problem, open_engine
from tests.loopback.tls_relay import relay
from tests.sandbox.trees import environment

SECONDS = 5.0


@contextmanager
def engine_that_says(folder: Path, answer: object) -> Iterator[Endpoint]:
    """Serve an answer to every request on a unix socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            pass

        def address_string(self) -> str:
            return "engine"

    path = folder / "e.sock"
    with ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Endpoint(f"unix://{path}", "the test's")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"), [("1.41", "1.12", "1.41"), ("1.45", "1.24", "1.45"), ("1.60", "1.44", "1.45")]
)
def test_the_newest_version_both_know_is_spoken(tmp_path: Path, newest: str, oldest: str, spoken: str) -> None:
    with engine_that_says(tmp_path, {"ApiVersion": newest, "MinAPIVersion": oldest}) as endpoint:
        assert negotiated_version(endpoint, SECONDS) == spoken


def test_an_engine_that_is_too_old_is_told_from_one_that_is_too_new(tmp_path: Path) -> None:
    answer = {"Version": "18.09.1", "ApiVersion": "1.39", "MinAPIVersion": "1.12"}
    with (
        engine_that_says(tmp_path, answer) as endpoint,
        pytest.raises(SandboxUnavailableError, match=r"18\.09\.1, API 1\.39\) is too old: API 1\.41, Docker 20\.10"),
    ):
        negotiated_version(endpoint, SECONDS)
    (tmp_path / "e.sock").unlink()
    answer = {"Version": "99.0", "ApiVersion": "2.10", "MinAPIVersion": "2.0"}
    with (
        engine_that_says(tmp_path, answer) as endpoint,
        pytest.raises(SandboxUnavailableError, match=r"too new: it wants API 2\.0 at least.*Upgrade Stagewright"),
    ):
        negotiated_version(endpoint, SECONDS)


@pytest.mark.parametrize("answer", [b"no json", [1], {}, {"ApiVersion": "x.y"}, {"ApiVersion": "1." + "9" * 5000}])
def test_what_is_no_engine_is_said_to_be_none(tmp_path: Path, answer: object) -> None:
    with (
        engine_that_says(tmp_path, answer) as endpoint,
        pytest.raises(SandboxUnavailableError, match="is no Docker engine"),
    ):
        negotiated_version(endpoint, SECONDS)


def test_a_socket_nobody_listens_on_is_a_sentence_and_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    said = anyio.run(engine_problem)
    assert said is not None
    assert f"unix://{path}, DOCKER_HOST: " in said
    gc.collect()  # a socket left open would warn here, and warnings are errors


def test_an_engine_that_stops_between_two_calls_leaks_nothing(tmp_path: Path) -> None:
    client = connect(Endpoint(f"unix://{tmp_path}/gone.sock", "the test's"), "1.41", SECONDS)
    with pytest.raises(requests.exceptions.ConnectionError):
        client.ping()
    client.close()
    del client
    gc.collect()


def certificates(folder: Path) -> None:
    """Make an authority, and a certificate of it for both ends."""
    run = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*run, *names], cwd=folder, check=True, capture_output=True)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())


@pytest.mark.docker
@pytest.mark.anyio
async def test_a_sandbox_works_over_tcp_and_tls(
    tmp_path: Path, small_base: BaseTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates(tmp_path)
    with relay("/var/run/docker.sock", tmp_path) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://localhost:{port}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        async with backend().open(environment(), small_base) as sandbox:
            done = await sandbox.exec(["cat", "a.txt"], timeout=SECONDS, stdin=b"")
        assert (done.exit_code, done.stdout) == (0, b"a\n")
        # Another authority than the engine's: nothing is said to the other side.
        certificates(tmp_path)
        with pytest.raises(SandboxUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            async with open_engine():
                pass
