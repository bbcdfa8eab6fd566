"""The proxy lets through what the policy allows and nothing else, whatever a client sends and a resolver answers."""
# ruff: noqa: E501 - requests and answers are kept whole

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from sandbox.egress_policy import Policy, allowlist
from sandbox.egress_proxy import Patience
from tests.sandbox.proxies import (
    OTHER_PUBLIC,
    PUBLIC,
    FakeNetwork,
    Server,
    ask,
    certificate,
    hello,
    proxy_for,
    running,
    secured,
    tunnel,
)

pytestmark = pytest.mark.anyio
LISTED = allowlist(["good.example", "*.good.example", "odd.example:8080"])
ALLOWED = b"GET http://good.example/a?b HTTP/1.1\r\nHost: good.example\r\n\r\n"
SHORT = Patience(head=0.1, hello=0.1, idle=0.1, half_closed=0.1)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(Server()) as one:
        yield one


def network(server: Server, port: int = 80, *answers: list[str]) -> FakeNetwork:
    names = {name: answers or [[PUBLIC]] for name in ("good.example", "sub.good.example", "odd.example")}
    return FakeNetwork(names, {(PUBLIC, port): server.port})


async def test_an_allowed_request_is_written_anew_for_its_server(server: Server) -> None:
    request = (
        b"POST HTTP://GOOD.example:80/a?b=c HTTP/1.1\r\nhost: good.EXAMPLE.\r\nProxy-Authorization: Basic c2VjcmV0\r\n"
        b"Connection: keep-alive, X-Private\r\nX-Private: 1\r\nUpgrade: h2c\r\nAccept: */*\r\nContent-Length: 3\r\n\r\nabc"
    )
    async with proxy_for(LISTED, network(server)) as (port, log):
        assert (await ask(port, request)).endswith(b"\r\n\r\nhello")
    assert server.got == [
        b"POST /a?b=c HTTP/1.1\r\nHost: good.example\r\nAccept: */*\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    ]
    (row,) = log.passages()
    assert (row.host, row.port, row.refused, row.connections) == ("good.example", 80, None, 1)
    assert (row.sent, row.received) == (len(server.got[0]), 43)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://evil.example/", "not in the allowlist"),
        ("http://notgood.example/", "not in the allowlist"),
        ("http://good.example.evil.example/", "not in the allowlist"),
        ("http://a.b.good.example:81/", "not in the allowlist"),
        ("http://odd.example/", "not in the allowlist"),
        ("http://93.184.216.34/", "not in the allowlist"),
        ("http://xn--god-tna.example/", "not in the allowlist"),
    ],
)
async def test_another_host_or_port_is_denied_before_anybody_is_asked(server: Server, target: str, reason: str) -> None:
    asked = network(server)
    async with proxy_for(LISTED, asked) as (port, log):
        answer = await ask(port, f"GET {target} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert reason.encode() in answer
    assert (asked.looked_up, asked.dialled) == ([], [])
    assert [row.refused for row in log.passages()] == [reason]


@pytest.mark.parametrize("target", ["http://good.example./", "http://GOOD.EXAMPLE/", "http://sub.good.example/"])
async def test_other_spellings_of_an_allowed_host_are_the_same_host(server: Server, target: str) -> None:
    async with proxy_for(LISTED, network(server)) as (port, _):
        assert (await ask(port, f"GET {target} HTTP/1.0\r\n\r\n".encode())).endswith(b"hello")


INWARD = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.17.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200",
    "169.254.169.254", "169.254.1.1", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
    "::ffff:93.184.216.34", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "fec0::1",
)  # fmt: skip


@pytest.mark.parametrize("address", INWARD)
async def test_a_listed_name_that_leads_inward_is_refused(server: Server, address: str) -> None:
    asked = FakeNetwork({"good.example": [[address]]}, {(address, 80): server.port})
    async with proxy_for(LISTED, asked) as (port, log):
        answer = await ask(port, ALLOWED)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert asked.dialled == []
    assert [row.refused for row in log.passages()] != [None]


async def test_an_address_of_this_machine_is_refused_though_it_is_public(server: Server) -> None:
    asked = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port}, own=frozenset({PUBLIC}))
    async with proxy_for(LISTED, asked) as (port, _):
        assert b"an address of this machine" in await ask(port, ALLOWED)
    assert asked.dialled == []


async def test_a_name_is_looked_up_once_and_what_was_judged_is_dialled(server: Server) -> None:
    rebinding = network(server, 80, [PUBLIC], ["127.0.0.1"])
    async with proxy_for(LISTED, rebinding) as (port, _):
        first, second = await ask(port, ALLOWED), await ask(port, ALLOWED)
    assert first.endswith(b"hello")
    assert second.startswith(b"HTTP/1.1 403 ")
    assert (len(rebinding.looked_up), rebinding.dialled) == (2, [(PUBLIC, 80)])


async def test_of_several_addresses_only_public_ones_are_dialled_until_one_answers(server: Server) -> None:
    asked = network(server, 80, ["10.0.0.1", OTHER_PUBLIC, PUBLIC, "::1"])
    async with proxy_for(LISTED, asked) as (port, _):
        assert (await ask(port, ALLOWED)).endswith(b"hello")
    assert asked.dialled == [(OTHER_PUBLIC, 80), (PUBLIC, 80)]


async def test_a_literal_entry_excuses_its_address_and_port_alone(server: Server) -> None:
    listed = allowlist(["good.example", "10.0.0.1:80"])
    asked = FakeNetwork({"good.example": [["10.0.0.1"], ["10.0.0.2"]]}, {("10.0.0.1", 80): server.port})
    async with proxy_for(listed, asked) as (port, _):
        answers = [await ask(port, ALLOWED) for _ in range(2)]
        answers.append(await ask(port, b"GET http://10.0.0.1/ HTTP/1.0\r\n\r\n"))
        answers.append(await ask(port, b"GET http://10.0.0.1:22/ HTTP/1.0\r\n\r\n"))
    assert [answer[9:12] for answer in answers] == [b"200", b"403", b"200", b"403"]


async def test_anywhere_means_public_hosts_at_ports_of_the_web(server: Server) -> None:
    asked = FakeNetwork({"new.example": [[PUBLIC]], "inner.example": [["10.0.0.1"]]}, {(PUBLIC, 8000): server.port})
    async with proxy_for(Policy(anywhere=True), asked) as (port, _):
        targets = ("new.example:8000", "inner.example", "new.example:25", "169.254.169.254", "127.0.0.1:8000")
        answers = [await ask(port, f"GET http://{each}/ HTTP/1.0\r\n\r\n".encode()) for each in targets]
    assert [answer[9:12] for answer in answers] == [b"200", b"403", b"403", b"403", b"403"]


async def test_who_does_not_resolve_or_answer_is_a_bad_gateway(server: Server) -> None:
    async with proxy_for(LISTED, FakeNetwork({"good.example": [[OTHER_PUBLIC]]})) as (port, _):
        assert (await ask(port, ALLOWED)).startswith(b"HTTP/1.1 502 ")
        other = ALLOWED.replace(b"good", b"lost.good")
        assert b"its name does not resolve" in await ask(port, other)


MALFORMED = {
    "another protocol": (400, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "TLS to the proxy itself": (400, hello("good.example") + b"\r\n\r\n"),
    "SOCKS 5": (400, b"\x05\x01\x00\r\n\r\n"),
    "HTTP 2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a request as to a server": (400, b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n"),
    "an address of https": (400, b"GET https://good.example/ HTTP/1.1\r\n\r\n"),
    "another scheme": (400, b"GET ftp://good.example/ HTTP/1.1\r\n\r\n"),
    "a Host that differs": (400, b"GET http://good.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    "a Host with another port": (400, b"GET http://good.example/ HTTP/1.1\r\nHost: good.example:81\r\n\r\n"),
    "a CONNECT whose Host differs": (400, b"CONNECT good.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
    "a CONNECT without a port": (400, b"CONNECT good.example HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET http://good.example/ HTTP/1.1\r\nHost: good.example\r\nHost: good.example\r\n\r\n"),
    "a user name": (400, b"GET http://user:word@good.example/ HTTP/1.1\r\n\r\n"),
    "a host behind a user name": (400, b"GET http://good.example@evil.example/ HTTP/1.1\r\n\r\n"),
    "a backslash": (400, b"GET http://good.example\\@evil.example/ HTTP/1.1\r\n\r\n"),
    "a numeric host": (400, b"GET http://2130706433/ HTTP/1.1\r\n\r\n"),
    "a short address": (400, b"GET http://127.1/ HTTP/1.1\r\n\r\n"),
    "an octal address": (400, b"GET http://0177.0.0.1/ HTTP/1.1\r\n\r\n"),
    "a hexadecimal address": (400, b"GET http://0x7f000001/ HTTP/1.1\r\n\r\n"),
    "a zone": (400, b"GET http://[fe80::1%25eth0]/ HTTP/1.1\r\n\r\n"),
    "two dots at the end": (400, b"GET http://good.example../ HTTP/1.1\r\n\r\n"),
    "wide letters": (400, "GET http://\uff47ood.example/ HTTP/1.1\r\n\r\n".encode()),
    "a percent sign in the host": (400, b"GET http://good%2eexample/ HTTP/1.1\r\n\r\n"),
    "port zero": (400, b"GET http://good.example:0/ HTTP/1.1\r\n\r\n"),
    "a port too large": (400, b"GET http://good.example:65536/ HTTP/1.1\r\n\r\n"),
    "chunks": (411, b"POST http://good.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunks and a length": (411, b"POST http://good.example/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: x\r\n\r\n"),
    "two lengths": (400, b"POST http://good.example/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n"),
    "a length with a sign": (400, b"POST http://good.example/ HTTP/1.1\r\nContent-Length: +4\r\n\r\n"),
    "a folded field": (400, b"GET http://good.example/ HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
    "a space before the colon": (400, b"GET http://good.example/ HTTP/1.1\r\nHost : good.example\r\n\r\n"),
    "a bare line feed": (400, b"GET http://good.example/ HTTP/1.1\nHost: good.example\r\n\r\n"),
    "a bare carriage return": (400, b"GET http://good.example/ HTTP/1.1\r\nX: a\rHost: evil.example\r\n\r\n"),
    "a zero byte": (400, b"GET http://good.example/\0 HTTP/1.1\r\n\r\n"),
    "too many fields": (431, b"GET http://good.example/ HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n"),
    "a head too large": (431, b"GET http://good.example/ HTTP/1.1\r\nX: " + b"y" * (17 << 10) + b"\r\n\r\n"),
    "a head without end": (431, b"GET http://good.example/ HTTP/1.1\r\nX: " + b"y" * (40 << 10)),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_malformed_or_ambiguous_reaches_nobody(server: Server, name: str) -> None:
    status, sent = MALFORMED[name]
    asked = network(server)
    async with proxy_for(LISTED, asked) as (port, _):
        assert (await ask(port, sent)).startswith(f"HTTP/1.1 {status} ".encode())
    assert (asked.looked_up, server.got) == ([], [])


@pytest.mark.parametrize(
    "first", [ALLOWED, ALLOWED.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")]
)
async def test_a_second_request_on_a_connection_reaches_nobody(server: Server, first: bytes) -> None:
    second = b"GET http://good.example/second HTTP/1.1\r\nHost: other.example\r\n\r\n"
    async with proxy_for(LISTED, network(server)) as (port, _):
        together, apart = await ask(port, first + second), await ask(port, first, second)
    assert together.count(b"HTTP/1.1") == apart.count(b"HTTP/1.1") == 1
    assert [b"second" in got for got in server.got] == [False, False]
    assert all(b"Connection: close" in got for got in server.got)


async def test_a_body_ends_where_its_length_says() -> None:
    request = b"POST http://good.example/ HTTP/1.1\r\nHost: good.example\r\nContent-Length: 5\r\n\r\n"
    async with running(Server(until=b"12345")) as server, proxy_for(LISTED, network(server)) as (port, _):
        await ask(port, request, b"12", b"345GET /smuggled HTTP/1.1\r\n\r\n")
    assert server.got[0].endswith(b"\r\n\r\n12345")


async def test_tls_to_an_allowed_host_is_passed_untouched(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path / "tls", "good.example")
    async with running(Server(), context) as server, proxy_for(LISTED, network(server, 443)) as (port, log):
        stream, answer = await tunnel(port, "good.example")
        assert answer.startswith(b"HTTP/1.1 200 ")
        async with await secured(stream, "good.example", trusted) as secure:
            await secure.send(b"GET / HTTP/1.1\r\n\r\n")
            assert await secure.receive() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert server.got == [b"GET / HTTP/1.1\r\n\r\n"]
    assert [(row.host, row.refused) for row in log.passages()] == [("good.example", None)]


def with_encrypted_name(message: bytes) -> bytes:
    """Add the extension of an encrypted hello at the end of a first message, and mend the three lengths around it."""
    extra = b"\xfe\x0d\x00\x01\x00"
    grown = bytearray(message + extra)
    at = 5 + 4 + 34
    at += 1 + grown[at]
    at += 2 + int.from_bytes(grown[at : at + 2], "big")
    at += 1 + grown[at]
    for where, width in ((3, 2), (6, 3), (at, 2)):
        grown[where : where + width] = (int.from_bytes(grown[where : where + width], "big") + 5).to_bytes(width, "big")
    return bytes(grown)


REFUSED_TLS = {
    "another name": (hello("evil.example"), "TLS asks for another server name"),
    "a name above": (hello("example"), "TLS asks for another server name"),
    "no name": (hello(None), "TLS names no server"),
    "an address for a name": (hello("93.184.216.34"), "TLS names no server"),
    "an encrypted name": (with_encrypted_name(hello("good.example")), "the server name is encrypted"),
    "no TLS": (b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n", "only TLS goes through CONNECT"),
    "SSH": (b"SSH-2.0-x\r\n", "only TLS goes through CONNECT"),
    "another message of TLS": (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "TLS begins with another message"),
    "a message too large": (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "the first message of TLS is too large"),
    "a record too large": (b"\x16\x03\x01\xff\xff", "a TLS record of an impossible size"),
    "an empty record": (b"\x16\x03\x01\x00\x00", "a TLS record of an impossible size"),
    "a message cut short": (b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", "a field is cut short"),
    "nothing": (b"", "TLS did not begin"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_TLS)
async def test_a_tunnel_whose_tls_does_not_name_its_host_gives_the_server_nothing(server: Server, name: str) -> None:
    sent, reason = REFUSED_TLS[name]
    async with proxy_for(LISTED, network(server, 443)) as (port, log):
        head = b"CONNECT good.example:443 HTTP/1.1\r\nHost: good.example\r\n\r\n"
        answer = await ask(port, head + sent, finish=True)
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert [row.refused for row in log.passages()] == [reason]
    assert server.got in ([], [b""])


async def test_tls_may_come_in_any_number_of_pieces_and_records(server: Server) -> None:
    whole = hello("good.example")
    message = whole[5:]
    records = [b"\x16\x03\x01\x00\x10" + message[at : at + 16] for at in range(0, len(message) - 16, 16)]
    rest = message[len(records) * 16 :]
    split = b"".join([*records, b"\x16\x03\x01" + len(rest).to_bytes(2, "big") + rest])
    for sent in ([bytes([byte]) for byte in whole], [split], [split[:7], split[7:]]):
        async with running(Server(stays=True)) as listening, proxy_for(LISTED, network(listening, 443)) as (port, _):
            await ask(port, b"CONNECT good.example:443 HTTP/1.1\r\n\r\n", *sent, finish=True)
            with anyio.fail_after(5):
                await listening.ended.wait()
        assert bytes(listening.got[0]) == b"".join(sent)


async def test_a_tunnel_to_a_literal_entry_needs_no_name_and_takes_no_other(server: Server) -> None:
    listed = allowlist(["10.0.0.1:443"])
    for sent, passes in ((hello(None), True), (hello("good.example"), False)):
        async with running(Server(stays=True)) as listening:
            asked = FakeNetwork({}, {("10.0.0.1", 443): listening.port})
            async with proxy_for(listed, asked) as (port, log):
                await ask(port, b"CONNECT 10.0.0.1:443 HTTP/1.1\r\n\r\n" + sent, finish=True)
                refused = [row.refused for row in log.passages()]
        assert refused == ([None] if passes else ["TLS asks for another server name"])


STALLS = {
    "nothing is sent": [],
    "half a head": [b"GET http://good.example/ HTTP/1.1\r\n"],
    "no TLS after CONNECT": [b"CONNECT good.example:443 HTTP/1.1\r\n\r\n"],
    "half a hello": [b"CONNECT good.example:443 HTTP/1.1\r\n\r\n", hello("good.example")[:100]],
    "nothing after the hello": [b"CONNECT good.example:443 HTTP/1.1\r\n\r\n", hello("good.example")],
    "half a body": [b"POST http://good.example/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"x"],
}


@pytest.mark.parametrize("name", STALLS)
async def test_a_connection_that_stalls_is_ended(name: str) -> None:
    async with running(Server(until=b"never")) as server:
        asked = FakeNetwork({"good.example": [[PUBLIC]]}, {(PUBLIC, 80): server.port, (PUBLIC, 443): server.port})
        async with proxy_for(LISTED, asked, SHORT) as (port, _):
            await ask(port, *STALLS[name])
            if server.got:
                with anyio.fail_after(5):
                    await server.ended.wait()


async def test_a_client_that_has_said_all_still_gets_its_answer(server: Server) -> None:
    async with proxy_for(LISTED, network(server)) as (port, _):
        assert (await ask(port, ALLOWED, finish=True)).endswith(b"hello")


async def test_a_client_that_goes_away_takes_its_servers_connection_with_it() -> None:
    async with running(Server(until=b"never")) as server, proxy_for(LISTED, network(server)) as (port, _):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"POST http://good.example/ HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
            with anyio.fail_after(5):
                await server.began.wait()
        with anyio.fail_after(5):
            await server.ended.wait()
