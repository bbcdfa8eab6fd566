"""Which Docker engine this user means, worked out as the `docker` command does, without needing that command."""

import hashlib
import json
import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.base import SandboxUnavailableError

SYSTEM_SOCKET = Path("/var/run/docker.sock")
PLAIN_PORT, TLS_PORT = 2375, 2376
CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
SCHEMES = "unix:///path/to/docker.sock and tcp://host:port are"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of a TLS connection, None for one that is not there; `verify` asks for the engine's own too."""

    authority: Path | None
    certificate: Path | None
    key: Path | None
    verify: bool

    def context(self) -> ssl.SSLContext:
        """Return what a connection is wrapped with.

        :raises OSError: a file is missing or no certificate.
        """
        context = ssl.create_default_context(cafile=str(self.authority) if self.authority else None)
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.certificate and self.key:
            context.load_cert_chain(str(self.certificate), str(self.key))
        return context


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an engine is, and `why` it is this one."""

    url: str
    why: str
    tls: Certificates | None = None

    @property
    def path(self) -> str | None:
        """Return the socket's path; None for a network address."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port of a network address."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or (TLS_PORT if self.tls else PLAIN_PORT)

    def connect(self, seconds: float) -> socket.socket:
        """Return an open connection, with a time limit on each of its operations.

        :raises OSError: nobody answers there, or not as the certificates say.
        """
        plain = socket.create_connection(self.address, seconds) if self.path is None else socket.socket(socket.AF_UNIX)
        try:
            plain.settimeout(seconds)
            if self.path is not None:
                plain.connect(self.path)
            return plain if self.tls is None else self.tls.context().wrap_socket(plain, server_hostname=self.address[0])
        except BaseException:
            plain.close()
            raise


def find_endpoint(environ: Mapping[str, str], home: Path, system_socket: Path = SYSTEM_SOCKET) -> Endpoint:
    """Return the engine meant: `DOCKER_HOST`, else the context in use, else the first socket of the usual places.

    :raises SandboxUnavailableError: the context does not exist, or its address is of a kind that is not supported.
    """
    if host := environ.get("DOCKER_HOST", "").strip():
        return _supported(host, "DOCKER_HOST", _environment_certificates(environ, home))
    folder = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    name, source = _context_in_use(environ, folder)
    if name not in {"", "default"}:
        return _context(folder, name, source)
    places = _usual_places(environ, home, system_socket)
    found = next((path for path in places if os.access(path, os.R_OK | os.W_OK)), None)
    if found is None:
        present = next((path for path in places if _is_there(path)), places[0])
        return Endpoint(f"unix://{present}", f"none of {_listed(places)} can be used by this user")
    return Endpoint(f"unix://{found}", "the default" if found == system_socket else f"found at {found}")


def _usual_places(environ: Mapping[str, str], home: Path, system_socket: Path) -> tuple[Path, ...]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    rootless = (Path(runtime) / "docker.sock",) if runtime else ()
    # The order of the `docker` command's default first, so that both mean the same engine.
    return (system_socket, *rootless, home / ".docker" / "run" / "docker.sock")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _listed(places: Iterable[Path]) -> str:
    return ", ".join(map(str, places))


def _supported(url: str, why: str, tls: Certificates | None) -> Endpoint:
    scheme, _, rest = url.partition("://")
    if scheme == "ssh":
        raise SandboxUnavailableError(
            f"{why} names {url}: an engine over ssh is not supported. Forward its socket "
            f"(`ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {rest}`) and set DOCKER_HOST=unix:///tmp/docker.sock"
        )
    if scheme == "unix" and rest.startswith("/"):
        return Endpoint(url, why)
    if scheme == "tcp" and _is_address(url):
        return Endpoint(url.rstrip("/"), why, tls)
    raise SandboxUnavailableError(f"{why} names {url!r}; {SCHEMES} supported")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:
        return False


def _environment_certificates(environ: Mapping[str, str], home: Path) -> Certificates | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    folder = environ.get("DOCKER_CERT_PATH")
    if not verify and not folder:
        return None
    if not folder:
        folder = environ.get("DOCKER_CONFIG") or str(home / ".docker")
    return _certificates(Path(folder), verify=verify)


def _certificates(folder: Path, *, verify: bool) -> Certificates:
    authority, certificate, key = (path if _is_there(path) else None for path in (folder / n for n in CERTIFICATES))
    return Certificates(authority, certificate, key, verify)


def _context_in_use(environ: Mapping[str, str], folder: Path) -> tuple[str, str]:
    if name := environ.get("DOCKER_CONTEXT", "").strip():
        return name, "DOCKER_CONTEXT"
    settings = _json(folder / "config.json")
    return str(settings.get("currentContext") or ""), str(folder / "config.json")


def _context(folder: Path, name: str, source: str) -> Endpoint:
    # The `docker` command files contexts under the hash of their name.
    digest = hashlib.sha256(name.encode()).hexdigest()
    engine = _json(folder / "contexts" / "meta" / digest / "meta.json").get("Endpoints", {})
    engine = engine.get("docker", {}) if isinstance(engine, dict) else {}
    host = engine.get("Host") if isinstance(engine, dict) else None
    if not isinstance(host, str) or not host:
        raise SandboxUnavailableError(
            f"the Docker context {name!r} ({source}) does not exist; `docker context ls` lists what does, "
            "and `docker context use default` goes back"
        )
    files = folder / "contexts" / "tls" / digest / "docker"
    tls = _certificates(files, verify=not engine.get("SkipTLSVerify")) if _is_there(files) else None
    return _supported(host, f"the Docker context {name!r} ({source})", tls)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
