"""Who may be reached from a sandbox: host names, ports and addresses, judged without asking anybody. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

import idna

HTTP, HTTPS = 80, 443
USUAL_PORTS = frozenset({HTTP, HTTPS})
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# A last label such as 1, 0x7f or 0177 makes resolvers read the whole name as an IPv4 address.
NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
PORT = re.compile(r"[0-9]{1,5}")
LONGEST_NAME = 253
WHAT_TO_WRITE = "write a host such as api.test, *.example.org or example.org:8443"
SELDOM_PUBLIC = {
    # Clouds answer requests of their virtual machines here, credentials included; Azure does so at a public address.
    "a cloud's metadata service": ("169.254.169.254/32", "168.63.129.16/32", "fd00:ec2::254/128", "100.100.100.200/32"),
    "this machine itself": ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"),
    "a private network": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"),
    "the local link": ("169.254.0.0/16", "fe80::/10"),
    "several machines at once": ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8"),
    "another address in disguise": ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
                                    "2001::/32"),
    "a range of no public host": ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001::/23",
                                  "::/3", "4000::/2", "8000::/1"),
}  # fmt: skip
REFUSED_RANGES = tuple(
    (ipaddress.ip_network(network), what) for what, networks in SELDOM_PUBLIC.items() for network in networks
)


class HostError(ValueError):
    """A text names no host or port; `hint` is what to write instead."""

    def __init__(self, message: str, hint: str = WHAT_TO_WRITE) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an allowlist. `port` None stands for 80 and 443; `wildcard` for every name below `host`.

    `anywhere` is for hosts this machine's owner has set up: wherever such a name leads, it may be dialled.
    """

    host: str
    port: int | None = None
    wildcard: bool = False
    anywhere: bool = False

    @property
    def literal(self) -> bool:
        """Say whether it names an address, which a name of the list may then lead to."""
        return is_address(self.host)

    def admits(self, host: str, port: int) -> bool:
        """Say whether a normal host and port are meant."""
        named = host.endswith(f".{self.host}") if self.wildcard else host == self.host
        return named and (port in USUAL_PORTS if self.port is None else port == self.port)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be reached: the entries' hosts, and with `anywhere` every public host too."""

    entries: tuple[Entry, ...] = ()
    anywhere: bool = False

    def refusal(self, host: str, port: int) -> str | None:
        """Return why a normal host and port may not be asked for at all, None when they may."""
        if any(entry.admits(host, port) for entry in self.entries):
            return None
        if not self.anywhere:
            return "not in the allowlist"
        return None if port in USUAL_PORTS or port >= 1024 else "not a port of the web"

    def address_refusal(self, host: str, address: str, port: int, *, own: bool) -> str | None:
        """Return why a host's address may not be dialled; only an entry that names it excuses a refused range."""
        normal = normal_address(address)
        for entry in self.entries:
            if (entry.literal and entry.admits(normal, port)) or (entry.anywhere and entry.admits(host, port)):
                return None
        return fault_of_address(normal) or ("an address of this machine" if own else None)


def fault_of_address(address: str) -> str | None:
    """Return what an address stands for when it is not somebody's public one."""
    parsed = ipaddress.ip_address(address)
    for network, what in REFUSED_RANGES:
        if parsed.version == network.version and parsed in network:
            return f"its address is {what}"
    return None


def is_address(host: str) -> bool:
    """Say whether a normal host is an address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def normal_address(text: str) -> str:
    """Return the one way to write an address; a zone (`%eth0`) stays, and makes it link-local."""
    return str(ipaddress.ip_address(text))


def normal_host(text: str) -> str:
    """Return the one way to write an ASCII host: lower case, no trailing dot, addresses compressed, no brackets.

    :raises HostError: it is no host name and no address.
    """
    if text.startswith("[") and text.endswith("]"):
        return _address(text[1:-1], 6)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if NUMERIC.fullmatch(labels[-1]):
        return _address(name, 4)
    if len(name) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels):
        raise HostError(f"`{text[:80]}` is not a host name")
    return name


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise HostError(f"`{text[:80]}` is not an address") from error
    if address.version != version or "%" in text:
        raise HostError(f"`{text[:80]}` is not an address of IPv{version}")
    return str(address)


def split_port(text: str) -> tuple[str, int | None]:
    """Cut `host:port` in two; without a port the second is None.

    :raises HostError: what follows the colon is no port.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text, None
    if not PORT.fullmatch(port) or not 0 < int(port) < 1 << 16:
        raise HostError(f"`{port[:20]}` is not a port", "write a port from 1 to 65535, an IPv6 address in brackets")
    return host, int(port)


def parse_entry(text: str) -> Entry:
    """Read one entry of an allowlist: `host`, `*.host`, `host:port`, `address:port`.

    :raises HostError: it is none of these.
    """
    if "/" in text or "@" in text:
        raise HostError(f"`{text[:80]}` is an address of a page, not a host", "write its host alone, such as api.test")
    name, port = split_port(text)
    wildcard = name.startswith("*.")
    host = normal_host(_ascii(name.removeprefix("*.")))
    if wildcard and (is_address(host) or "." not in host):
        raise HostError(f"`{text[:80]}` is too wide", "write at least two names after `*.`, such as *.example.org")
    if port is None and is_address(host) and fault_of_address(host):
        raise HostError(f"{fault_of_address(host)}: `{host}` needs a port", f"write `{host}:8080` with the port meant")
    return Entry(host, port, wildcard)


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError as error:
        raise HostError(f"`{name[:80]}` is not a host name ({error})") from error


def allowlist(texts: Iterable[str]) -> Policy:
    """Return the policy of an allowlist.

    :raises HostError: an entry cannot be read.
    """
    return Policy(tuple(parse_entry(text) for text in texts))
