"""Ollama: models on this machine, or wherever `OLLAMA_HOST` points."""

import re
from collections.abc import Mapping
from dataclasses import replace

from pipeline.vendors.compatible import preset

_PORT = 11434
_HOST = re.compile(r"(?P<scheme>https?://)?(?P<host>\[[^\]]*\]|[^:/\[\]]*)(?::(?P<port>[0-9]+))?(?P<path>/.*)?")
_LISTENS_EVERYWHERE = {"", "0.0.0.0", "[::]"}  # noqa: S104 - what the server binds to, not what we connect to


def address(environ: Mapping[str, str]) -> str | None:
    """Return the address that `OLLAMA_HOST` means, which Ollama's own server and clients read in the same way.

    It may be a host, a host with a port, or an address; where a server listens on every interface, it is asked here.
    """
    text = environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    found = _HOST.fullmatch(text)
    if not text or found is None:
        return text or None
    scheme = found["scheme"] or "http://"
    usual = {"http://": 80, "https://": 443}[found["scheme"]] if found["scheme"] else _PORT
    host = "127.0.0.1" if found["host"] in _LISTENS_EVERYWHERE else found["host"]
    return f"{scheme}{host}:{found['port'] or usual}{(found['path'] or '').rstrip('/')}/v1"


SURFACE = replace(
    preset(
        "ollama",
        key_variables=("OLLAMA_API_KEY",),
        address_variables=("OLLAMA_HOST",),
        default_base_url=f"http://127.0.0.1:{_PORT}/v1",
    ),
    address=address,
)
