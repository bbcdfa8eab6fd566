"""A proxy on a loopback port, a network that answers as a test says, and servers that remember what they got."""

import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from sandbox.egress_log import EgressLog
from sandbox.egress_network import UnreachableError
from sandbox.egress_policy import Policy
from sandbox.egress_proxy import EgressProxy, Patience

PUBLIC, OTHER_PUBLIC = "93.184.216.34", "151.101.0.223"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class FakeNetwork:
    """Names have the addresses a test gives them, one list per look-up; addresses lead to servers on this machine."""

    def __init__(
        self,
        names: Mapping[str, Sequence[Sequence[str]]],
        servers: Mapping[tuple[str, int], int] | None = None,
        own: frozenset[str] = frozenset(),
    ) -> None:
        self.looked_up: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self._names = {name: list(answers) for name, answers in names.items()}
        self._servers = dict(servers or {})
        self._own = own

    async def resolve(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        answers = self._names.get(host, [])
        if not answers:
            raise UnreachableError("its name does not resolve")
        return list(answers.pop(0) if len(answers) > 1 else answers[0])

    async def connect(self, address: str, port: int) -> ByteStream:
        self.dialled.append((address, port))
        if (address, port) not in self._servers:
            raise UnreachableError("it does not answer")
        return await anyio.connect_tcp("127.0.0.1", self._servers[address, port])

    async def relayed(self, host: str, port: int, *, tls: bool) -> ByteStream | None:
        return None

    def is_own(self, address: str) -> bool:
        return address in self._own


class Server:
    """Answers every connection once it has read a whole head, and keeps all bytes it got."""

    def __init__(self, reply: bytes = REPLY, *, until: bytes = b"\r\n\r\n", stays: bool = False) -> None:
        self.got: list[bytearray] = []
        self.began, self.ended = anyio.Event(), anyio.Event()
        self.port = 0
        self._reply, self._until, self._stays = reply, until, stays

    async def serve(self, stream: ByteStream) -> None:
        got = bytearray()
        self.got.append(got)
        try:
            async with stream:
                while self._until not in got:
                    got += await stream.receive()
                    self.began.set()
                await stream.send(self._reply)
                while self._stays:
                    got += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
            pass
        finally:
            self.ended.set()


@asynccontextmanager
async def running(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server on a loopback port, which it then knows."""

    async def wrapped(stream: SocketStream) -> None:
        try:
            secure = await TLSStream.wrap(stream, server_side=True, ssl_context=tls, standard_compatible=False)
        except (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
            await stream.aclose()
            return
        await server.serve(secure)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, wrapped if tls else server.serve)
        yield server
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def proxy_for(
    policy: Policy, network: FakeNetwork, patience: Patience | None = None
) -> AsyncIterator[tuple[int, EgressLog]]:
    """Run a proxy on a loopback port."""
    log = EgressLog()
    proxy = EgressProxy(policy, network, log, patience)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), log
        tasks.cancel_scope.cancel()


async def ask(port: int, *pieces: bytes, finish: bool = False) -> bytes:
    """Send pieces one by one and return everything that comes until the connection ends."""
    answer = b""
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            try:
                for piece in pieces:
                    await stream.send(piece)
                if finish:
                    await stream.send_eof()
                while True:
                    answer += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return answer


async def tunnel(port: int, host: str) -> tuple[ByteStream, bytes]:
    """Ask for a tunnel to port 443; return the stream and what the proxy answered."""
    stream = await anyio.connect_tcp("127.0.0.1", port)
    await stream.send(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    return stream, await stream.receive()


def hello(name: str | None) -> bytes:
    """Return the first message a TLS client sends to a server of this name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake needs two")


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for the names; return a server's context and the file a client has to trust."""
    folder.mkdir(exist_ok=True)
    key, file = folder / "key.pem", folder / "certificate.pem"
    listed = ",".join(f"DNS:{name}" for name in names)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(file), "-subj", "/CN=test", "-addext", f"subjectAltName={listed}"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file


async def secured(stream: ByteStream, host: str, trusted: Path) -> TLSStream:
    """Speak TLS over a tunnel, verifying the server."""
    context = ssl.create_default_context(cafile=str(trusted))
    secure = await TLSStream.wrap(stream, hostname=host, ssl_context=context, standard_compatible=False)
    assert secure.extra(TLSAttribute.peer_certificate)
    return secure
