"""Hosts, requests and first messages of TLS are read one way only, whatever the bytes."""
# ruff: noqa: E501 - lists of samples are kept whole

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.client_hello import NotTlsError, server_name
from sandbox.egress_log import MOST_ROWS, OTHERS, EgressLog
from sandbox.egress_policy import (
    Entry,
    HostError,
    Policy,
    allowlist,
    fault_of_address,
    is_address,
    normal_host,
    parse_entry,
)
from sandbox.egress_request import END_OF_HEAD, BadRequestError, answer, parse
from tests.sandbox.proxies import hello

HELLO = hello("good.example")
NEAR_HTTP = st.lists(
    st.sampled_from(
        [b"GET", b"CONNECT", b" ", b"http://", b"a.example", b"@", b"b.example", b":80", b":", b"/", b" HTTP/1.1", b"\r",
         b"\n", b"\r\n", b"Host: ", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"\0", b"\t", b"[::1]", b"127.1"]
    ),
    max_size=20,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Api.Test", Entry("api.test")),
        ("api.test.", Entry("api.test")),
        ("*.Example.org", Entry("example.org", wildcard=True)),
        ("a.example:8443", Entry("a.example", 8443)),
        ("B\u00fccher.example", Entry("xn--bcher-kva.example")),
        ("fa\u00df.example", Entry("xn--fa-hia.example")),
        ("\uff45xample.org", Entry("example.org")),
        ("example\u3002org", Entry("example.org")),
        ("8.8.8.8", Entry("8.8.8.8")),
        ("127.0.0.1:80", Entry("127.0.0.1", 80)),
        ("[::1]:80", Entry("::1", 80)),
        ("[2001:0DB8::0:1]:80", Entry("2001:db8::1", 80)),
    ],
)
def test_an_entry_has_one_normal_form(text: str, entry: Entry) -> None:
    assert parse_entry(text) == entry


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.", "*.org", "*.1.2.3.4", "a..b", "-a.org", "a b", "http://a", "a/b", "u@a", "a:0", "a:b", "::1", "127.1",
     "0x7f.0.0.1", "1.2.3", "256.1.1.1", "[::1", "[127.0.0.1]:1", "fe80::1%eth0", "[fe80::1%eth0]:1", "127.0.0.1",
     "a*.example.org", "x" * 64 + ".org", "a." * 127 + "org", "xn--\u0001.org", "a\0.org", "a\n.org"],
)  # fmt: skip
def test_what_names_no_host_is_no_entry(text: str) -> None:
    with pytest.raises(HostError) as error:
        parse_entry(text)
    assert error.value.hint


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"])
def test_public_addresses_have_no_fault(address: str) -> None:
    assert fault_of_address(address) is None


@given(st.ip_addresses())
def test_what_is_private_by_the_standard_library_is_never_dialled(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    # Ranges for examples are nobody's; machines that route them were set up to.
    examples = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
    example = any(address in ipaddress.ip_network(each) for each in examples)
    if not example and (not address.is_global or address.is_multicast):
        assert Policy(anywhere=True).address_refusal("a.example", str(address), 443, own=False)


@given(st.text(max_size=60))
def test_a_normal_host_is_normal(text: str) -> None:
    try:
        host = normal_host(text)
    except HostError:
        return
    assert normal_host(f"[{host}]" if ":" in host else host) == host
    assert host.isascii()
    assert is_address(host) or not host.replace(".", "").isdigit()


@given(st.binary(max_size=300) | NEAR_HTTP)
def test_a_head_is_refused_or_names_one_host_and_one_request(head: bytes) -> None:
    try:
        request = parse(head)
    except BadRequestError:
        return
    assert normal_host(f"[{request.host}]" if ":" in request.host else request.host) == request.host
    assert request.head.count(END_OF_HEAD) == (0 if request.tunnel else 1)
    assert request.head.lower().count(b"\r\nhost:") == (0 if request.tunnel else 1)


@given(st.binary(max_size=200), st.integers(0, len(HELLO)), st.integers(0, 20))
def test_no_bytes_break_the_reader_of_tls(noise: bytes, at: int, cut: int) -> None:
    for received in (noise, HELLO[:at] + noise + HELLO[at + cut :]):
        try:
            name = server_name(received)
        except NotTlsError:
            continue
        assert name is None or name.isascii()


def test_a_first_message_is_complete_at_its_last_byte_and_not_before() -> None:
    assert {server_name(HELLO[:size]) for size in range(len(HELLO))} == {None}
    assert server_name(HELLO) == server_name(HELLO + b"more") == "good.example"
    assert server_name(hello(None)) == ""


def test_an_answer_is_a_whole_response() -> None:
    head, _, body = answer(403, "not in the allowlist").partition(END_OF_HEAD)
    assert head.splitlines()[0] == b"HTTP/1.1 403 not in the allowlist"
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_flood_of_hosts_ends_in_one_row() -> None:
    log = EgressLog()
    for number in range(1000):
        log.note(f"{number}.example", 443, "not in the allowlist")
    rows = log.passages()
    assert len(rows) == MOST_ROWS + 1
    assert (rows[-1].host, rows[-1].connections) == (OTHERS, 800)
    assert rows[-1].line() == "refused (others) (not in the allowlist), 800 times"


def test_a_wildcard_is_for_names_below_and_an_entry_for_its_ports() -> None:
    listed = allowlist(["*.example.org", "one.example:8443"])
    asked = [("a.example.org", 443), ("a.b.example.org", 80), ("example.org", 443), ("badexample.org", 443),
             ("a.example.org", 8443), ("one.example", 8443), ("one.example", 443)]  # fmt: skip
    assert [listed.refusal(*each) is None for each in asked] == [True, True, False, False, False, True, False]
