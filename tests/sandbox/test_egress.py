"""From inside a real container: listed hosts are reached through the proxy, and there is no other way out."""

import io
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
from docker import DockerClient

from sandbox.base import BaseTree, Sandbox
from sandbox.docker import backend
from sandbox.resident import ResidentSandbox
from sandbox.setup import SetupFailedError, prepared_image
from sandbox.tunnels import MOST_TUNNELS
from tests.sandbox.proxies import PUBLIC, FakeNetwork, Server, certificate, running
from tests.sandbox.trees import environment, git, make_repository

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
GET = "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1]).read().decode())"
# What a client says to the proxy itself, whatever its variables are.
RAW = """
import socket, sys
s = socket.create_connection(("127.0.0.1", 3128), 10)
for piece in sys.argv[1:]:
    s.sendall(piece.encode().decode("unicode_escape").encode("latin-1"))
answer = b""
while piece := s.recv(65536):
    answer += piece
print(answer.split(b"\\r\\n")[0].decode())
"""


@asynccontextmanager
async def opened(base: BaseTree, network: FakeNetwork | None, *hosts: str) -> AsyncIterator[ResidentSandbox]:
    async with backend(network=network).open(environment(allowlist=hosts), base) as sandbox:
        yield sandbox


async def python(sandbox: Sandbox, script: str, *arguments: str) -> str:
    result = await sandbox.exec(["python3", "-c", script, *arguments], timeout=30)
    return (result.stdout + result.stderr).decode().strip()


@contextmanager
def files_over_tls(folder: Path, context: ssl.SSLContext) -> Iterator[int]:
    """Serve a folder; yields the port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the base has it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wheel() -> bytes:
    """Return the smallest package pip takes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("demo.py", "x = 1\n")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


async def test_pip_git_and_python_reach_a_listed_host_over_tls_and_no_other(
    small_base: BaseTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate(tmp_path / "tls", "files.good.example")
    served = tmp_path / "served"
    (served / "simple/demo").mkdir(parents=True)
    (served / "simple/demo/index.html").write_text('<a href="../../demo-1.0-py3-none-any.whl">demo</a>')
    (served / "demo-1.0-py3-none-any.whl").write_bytes(wheel())
    made = make_repository(tmp_path / "made", {"a.txt": b"a\n"})
    git(made, "clone", "-q", "--bare", str(made), str(served / "code.git"))
    git(served / "code.git", "update-server-info")
    # What this machine trusts is trusted inside.
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    script = """
    python3 -c "import urllib.request as u; print(len(u.urlopen('https://files.good.example/simple/demo/').read()))"
    pip -q --disable-pip-version-check download --no-deps -d /tmp -i https://files.good.example/simple demo
    ls /tmp/*.whl
    git clone -q https://files.good.example/code.git /tmp/code && cat /tmp/code/a.txt
    pip download --retries 0 -i https://evil.example/simple demo 2>&1 | grep -o 'from versions: none'
    git ls-remote https://evil.example/code.git 2>&1 | grep -o 'response 403'
    """
    with files_over_tls(served, context) as port:
        network = FakeNetwork({"files.good.example": [[PUBLIC]]}, {(PUBLIC, 443): port})
        async with opened(small_base, network, "*.good.example") as sandbox:
            result = await sandbox.exec(["sh", "-c", script], timeout=60)
            rows = {(row.host, row.refused) for row in sandbox.egress.passages()}
    assert result.stdout.decode().splitlines() == [
        "50", "/tmp/demo-1.0-py3-none-any.whl", "a", "from versions: none", "response 403",
    ], result  # fmt: skip
    assert rows == {("files.good.example", None), ("evil.example", "not in the allowlist")}
    assert set(network.looked_up) == {"files.good.example"}


async def test_without_the_proxy_there_is_nothing_not_even_names(small_base: BaseTree) -> None:
    probe = """
import socket
print([name for _, name in socket.if_nameindex()])
for family, kind, address in ((2, 1, ("1.1.1.1", 443)), (2, 2, ("8.8.8.8", 53)), (2, 1, ("172.17.0.1", 80)),
                              (2, 1, ("169.254.169.254", 80)), (10, 1, ("2606:4700::1111", 443))):
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(2)
            s.connect(address)
            s.send(b"x")
        print("reached", address)
    except OSError as error:
        print("refused")
try:
    print("resolved", socket.getaddrinfo("good.example", 443))
except OSError:
    print("refused")
"""
    async with running(Server()) as server:
        network = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port})
        async with opened(small_base, network, "good.example") as sandbox:
            assert (await python(sandbox, probe)).splitlines() == ["['lo']", *["refused"] * 6]
            assert await python(sandbox, GET, "http://good.example/") == "hello"


async def test_an_environment_without_hosts_has_no_proxy(small_base: BaseTree) -> None:
    async with opened(small_base, None) as sandbox:
        assert "proxy" not in (await python(sandbox, "import os; print(dict(os.environ))")).lower()
        assert "ConnectionRefusedError" in await python(sandbox, RAW, "GET http://a/ HTTP/1.0\\r\\n\\r\\n")


async def test_the_proxy_is_no_way_to_services_of_this_machine(small_base: BaseTree) -> None:
    own = socket.gethostbyname(socket.gethostname())
    async with running(Server()) as server:
        targets = [f"{host}:{server.port}" for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", own)]
        async with opened(small_base, None, f"localhost:{server.port}") as sandbox:
            answers = [await python(sandbox, RAW, f"GET http://{each}/ HTTP/1.0\\r\\n\\r\\n") for each in targets]
        refused = list(server.got)
        async with opened(small_base, None, f"127.0.0.1:{server.port}") as sandbox:
            named = await python(sandbox, RAW, f"GET http://127.0.0.1:{server.port}/ HTTP/1.0\\r\\n\\r\\n")
            other = await python(sandbox, RAW, f"GET http://127.0.0.1:{server.port + 1}/ HTTP/1.0\\r\\n\\r\\n")
    assert {answer[9:12] for answer in answers} == {"403"}
    assert refused == []
    assert (named, other[9:12]) == ("HTTP/1.1 200 OK", "403")


async def test_many_connections_are_served_a_bounded_number_at_a_time(small_base: BaseTree) -> None:
    script = """
import threading, urllib.request
done = []
def one():
    done.append(urllib.request.urlopen("http://good.example/").read())
threads = [threading.Thread(target=one) for _ in range(200)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(done.count(b"hello"))
"""
    now, most = 0, 0

    class Counting(Server):
        async def serve(self, stream: anyio.abc.ByteStream) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await super().serve(stream)
            now -= 1

    async with running(Counting()) as server:
        network = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port})
        async with opened(small_base, network, "good.example") as sandbox:
            assert await python(sandbox, script) == "200"
            (row,) = sandbox.egress.passages()
    assert row.connections == 200
    assert 1 < most <= MOST_TUNNELS


async def test_much_goes_both_ways_unharmed(small_base: BaseTree) -> None:
    script = """
import hashlib, random, urllib.request
sent = random.Random(1).randbytes(8 << 20) + b"end"
got = urllib.request.urlopen("http://good.example/", data=sent).read()
print(hashlib.sha256(sent).hexdigest() == hashlib.sha256(got).hexdigest(), len(got))
"""

    class Echo(Server):
        async def serve(self, stream: anyio.abc.ByteStream) -> None:
            got = bytearray()
            while not got.endswith(b"end"):
                got += await stream.receive()
            body = bytes(got.partition(b"\r\n\r\n")[2])
            await stream.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            await stream.aclose()

    async with running(Echo()) as server:
        network = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port})
        async with opened(small_base, network, "good.example") as sandbox:
            assert await python(sandbox, script) == f"True {(8 << 20) + 3}"


async def test_a_client_that_does_not_read_holds_the_server_up_not_the_runner(small_base: BaseTree) -> None:
    sent = 0

    class Endless(Server):
        async def serve(self, stream: anyio.abc.ByteStream) -> None:
            nonlocal sent
            try:
                while True:
                    await stream.send(b"x" * 65536)
                    sent += 65536
            except anyio.BrokenResourceError:
                self.ended.set()

    script = """
import socket
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"GET http://good.example/ HTTP/1.0\\r\\n\\r\\n")
s.recv(1)
open("begun", "w").close()
import time; time.sleep(1000)
"""
    async with running(Endless()) as server:
        network = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port})
        async with opened(small_base, network, "good.example") as sandbox, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(sandbox.exec, ["python3", "-c", script], timeout=1000))
            await sandbox.exec(["sh", "-c", "until [ -e begun ]; do :; done"], timeout=30)
            before = -1
            while before != sent:
                before = sent
                await sandbox.exec(["sleep", "0.2"], timeout=30)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await server.ended.wait()
    # What the kernel buffers on three sockets, and two windows.
    assert 0 < sent < 24 << 20


async def test_the_end_of_a_command_is_the_end_of_its_connections(small_base: BaseTree) -> None:
    script = """
import socket
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"GET http://good.example/ HTTP/1.0\\r\\n\\r\\n")
print(s.recv(1000), flush=True)
import time; time.sleep(1000)
"""
    async with running(Server(stays=True)) as server:
        network = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port})
        async with opened(small_base, network, "good.example") as sandbox:
            result = await sandbox.exec(["python3", "-c", script], timeout=1)
            assert result.timed_out
            assert b"200 OK" in result.stdout
            with anyio.fail_after(5):
                await server.ended.wait()


async def test_connections_of_commands_that_are_killed_leave_room_for_others(small_base: BaseTree) -> None:
    script = f"""
import socket, time
held = [socket.create_connection(("127.0.0.1", 3128)) for _ in range({MOST_TUNNELS})]
for each in held: each.sendall(b"GET http://good.example/ HTTP/1.1\\r\\n")
print("held", flush=True); time.sleep(1000)
"""
    async with running(Server()) as server:
        network = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port})
        async with opened(small_base, network, "good.example") as sandbox:
            held = await sandbox.exec(["python3", "-c", script], timeout=1)
            assert (held.timed_out, held.stdout) == (True, b"held\n")
            assert await python(sandbox, GET, "http://good.example/") == "hello"


RUNNER = """
import sys
from pathlib import Path
import anyio
from sandbox.docker import backend
from tests.sandbox.trees import environment, make_base
SCRIPT = '''
import socket, sys
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"GET http://" + sys.argv[1].encode() + b"/ HTTP/1.0\\\\r\\\\n\\\\r\\\\n")
s.recv(9); s.recv(9999)
import time; time.sleep(1000)
'''
async def main():
    base = make_base(Path(sys.argv[1]), {"a": b"a"})
    async with backend().open(environment(allowlist=(sys.argv[2],)), base) as sandbox:
        await sandbox.exec(["python3", "-c", SCRIPT, sys.argv[2]], timeout=1000)
anyio.run(main)
"""


async def test_the_proxy_dies_with_its_runner(tmp_path: Path) -> None:
    async with running(Server(stays=True)) as server:
        with subprocess.Popen(  # noqa: ASYNC220 - it starts and is killed
            [sys.executable, "-c", RUNNER, str(tmp_path / "r"), f"127.0.0.1:{server.port}"]
        ) as runner:
            try:
                with anyio.fail_after(20):
                    await server.began.wait()
            finally:
                os.kill(runner.pid, signal.SIGKILL)
            with anyio.fail_after(5):
                await server.ended.wait()


FETCH = """python3 -c 'import http.client as h
c = h.HTTPConnection("127.0.0.1", 3128); c.request("GET", "http://{host}/"); r = c.getresponse(); print(r.status)
raise SystemExit(r.status != 200)'"""


async def test_setup_reaches_what_is_listed_and_says_so(small_base: BaseTree, engine: DockerClient) -> None:
    said: list[str] = []
    async with running(Server()) as server:
        host = f"127.0.0.1:{server.port}"
        listed = environment(allowlist=(host,))
        name = await prepared_image(listed, small_base, [FETCH.format(host=host)], 60, lock_files={}, say=said.append)
    try:
        assert [line for line in said if line.startswith("setup: reached")] == [
            f"setup: reached {host}, 1 connections, {len(server.got[0])} bytes out, 43 in"
        ]
    finally:
        engine.images.remove(name, force=True)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "169.254.169.254", "172.17.0.1"])
async def test_setup_that_may_reach_any_public_host_reaches_none_of_this_machine(
    small_base: BaseTree, host: str
) -> None:
    async with running(Server()) as server:
        command = FETCH.format(host=host.format(port=server.port))
        with pytest.raises(SetupFailedError, match=r"network: refused .*address") as failed:
            await prepared_image(
                environment(network=True), small_base, [command], 60, lock_files={}, say=lambda _: None
            )
    assert str(failed.value).endswith("403")
    assert server.got == []
