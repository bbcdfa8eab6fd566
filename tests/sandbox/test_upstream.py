"""A machine that reaches the world through a proxy of its own stays the judge of what may be reached."""

from collections.abc import Mapping

import pytest

from sandbox.egress_network import HostNetwork, UnreachableError
from sandbox.egress_policy import allowlist
from sandbox.upstream import upstream
from tests.sandbox.proxies import PUBLIC, FakeNetwork, Server, ask, hello, proxy_for, running

pytestmark = pytest.mark.anyio
LISTED = allowlist(["good.example", "inner.example"])
CONNECT = b"CONNECT %s:443 HTTP/1.1\r\n\r\n"


class Proxied(FakeNetwork):
    """Names as a test says, and the proxy its environment names."""

    def __init__(self, environ: Mapping[str, str], names: Mapping[str, list[list[str]]]) -> None:
        super().__init__(names)
        self.relayed = HostNetwork(environ).relayed  # type: ignore[method-assign] # the real one, over fake names


@pytest.mark.parametrize("names", [{}, {"good.example": [[PUBLIC]]}], ids=["a name only it knows", "a public name"])
async def test_hosts_are_reached_through_the_machines_proxy_with_its_credentials(
    names: dict[str, list[list[str]]],
) -> None:
    async with running(Server(b"HTTP/1.1 200 fine\r\nX: y\r\n\r\nfrom the server", stays=True)) as corporate:
        environ = {"HTTPS_PROXY": f"http://user:p%40ss@127.0.0.1:{corporate.port}"}
        async with proxy_for(LISTED, Proxied(environ, names)) as (port, log):
            answer = await ask(port, CONNECT % b"good.example" + hello("good.example"), finish=True)
    head, _, rest = bytes(corporate.got[0]).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"CONNECT good.example:443 HTTP/1.1", b"Host: good.example:443", b"Proxy-Authorization: Basic dXNlcjpwQHNz",
    ]  # fmt: skip
    assert rest[:2] == b"\x16\x03"
    assert answer.endswith(b"\r\n\r\nfrom the server")
    assert [row.refused for row in log.passages()] == [None]


@pytest.mark.parametrize(
    ("host", "status"), [(b"evil.example", b"403"), (b"inner.example", b"403"), (b"10.0.0.1", b"403")]
)
async def test_the_machines_proxy_is_not_asked_for_what_may_not_be_reached(host: bytes, status: bytes) -> None:
    async with running(Server(b"HTTP/1.1 200 OK\r\n\r\n", stays=True)) as corporate:
        environ = {"https_proxy": f"127.0.0.1:{corporate.port}"}
        async with proxy_for(LISTED, Proxied(environ, {"inner.example": [["10.0.0.1"]]})) as (port, _):
            assert (await ask(port, CONNECT % host))[9:12] == status
    assert corporate.got == []


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 407 Login\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"", b"nonsense\r\n\r\n", b"x" * (17 << 10)]
)
async def test_a_proxy_that_refuses_or_talks_nonsense_is_a_bad_gateway(reply: bytes) -> None:
    async with running(Server(reply)) as corporate:
        environ = {"ALL_PROXY": f"http://127.0.0.1:{corporate.port}"}
        async with proxy_for(LISTED, Proxied(environ, {})) as (port, _):
            assert (await ask(port, CONNECT % b"good.example")).startswith(b"HTTP/1.1 502 ")


async def test_a_proxy_that_is_not_there_or_of_another_kind_is_said_to_be() -> None:
    for address in ("http://127.0.0.1:1", "socks5://127.0.0.1:1", "https://127.0.0.1:1"):
        with pytest.raises(UnreachableError, match="this machine's proxy"):
            await HostNetwork({"HTTPS_PROXY": address}).relayed("good.example", 443, tls=True)


@pytest.mark.parametrize(
    ("environ", "tls", "expected"),
    [
        ({}, True, None),
        ({"HTTP_PROXY": "http://a:1"}, True, None),
        ({"HTTP_PROXY": "http://a:1"}, False, "http://a:1"),
        ({"HTTPS_PROXY": "a:1", "ALL_PROXY": "b:1"}, True, "http://a:1"),
        ({"ALL_PROXY": "b:1"}, True, "http://b:1"),
        ({"HTTPS_PROXY": "a:1", "NO_PROXY": "*"}, True, None),
        ({"HTTPS_PROXY": "a:1", "NO_PROXY": "x, .good.example"}, True, None),
        ({"HTTPS_PROXY": "a:1", "NO_PROXY": "od.example"}, True, "http://a:1"),
    ],
)
def test_the_usual_variables_name_it(environ: Mapping[str, str], tls: bool, expected: str | None) -> None:  # noqa: FBT001
    found = upstream(environ, "www.good.example", tls=tls)
    assert (found.geturl() if found else None) == expected
