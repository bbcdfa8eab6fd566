"""The environment of a command-line program: nothing of the user's but what is listed here.

A key, an address or a switch that happens to be set would otherwise decide who pays and who is asked.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from pipeline.vendors._private_place import Place

PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    # How the network is reached, as for every other vendor.
    *(name for pair in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (pair, pair.upper())),
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


def scrubbed(environ: Mapping[str, str], place: Place, base_url: str | None) -> dict[str, str]:
    """Return what a program sees: a few variables that say nothing about keys, and a home of its own.

    Times it prints are in UTC, so that they can be read back. A server on this machine is never asked by proxy.
    """
    passed = {name: environ[name] for name in PASSED if name in environ}
    own = {"HOME": str(place.home), "TMPDIR": str(place.temporary), "TZ": "UTC", "NO_COLOR": "1"}
    host = urlsplit(base_url or "").hostname or ""
    if _is_loopback(host):
        own |= {"NO_PROXY": host, "no_proxy": host}
    return passed | own


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
