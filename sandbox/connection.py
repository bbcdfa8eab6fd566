"""Connections to an engine: the version both sides speak, and an SDK client that leaks nothing."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any, cast

from docker import DockerClient
from docker.tls import TLSConfig
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

from sandbox.base import SandboxUnavailableError
from sandbox.endpoint import Certificates, Endpoint

# Docker 20.10, the oldest this is tested with, and the newest API this is written for.
OLDEST_API = (1, 41)
NEWEST_API = (1, 45)
MOST_ANSWER_BYTES = 1 << 16


def negotiated_version(endpoint: Endpoint, seconds: float) -> str:
    """Return the newest API version both sides know.

    :raises SandboxUnavailableError: there is none, or what answers is no Docker engine.
    :raises OSError: nobody answers.
    """
    answer = _ask_version(endpoint, seconds)
    newest, oldest = _version(answer.get("ApiVersion")), _version(answer.get("MinAPIVersion") or "1.12")
    if newest is None or oldest is None:
        raise SandboxUnavailableError(f"what answers at {endpoint.url} ({endpoint.why}) is no Docker engine")
    name = f"the engine at {endpoint.url} (version {str(answer.get('Version'))[:40]}"
    if newest < OLDEST_API:
        raise SandboxUnavailableError(
            f"{name}, API {_text(newest)}) is too old: API {_text(OLDEST_API)}, Docker 20.10, is needed. Upgrade it."
        )
    if oldest > NEWEST_API:
        raise SandboxUnavailableError(
            f"{name}) is too new: it wants API {_text(oldest)} at least, and this version of Stagewright speaks "
            f"{_text(NEWEST_API)}. Upgrade Stagewright."
        )
    return _text(min(newest, NEWEST_API))


def _ask_version(endpoint: Endpoint, seconds: float) -> dict[str, Any]:
    connection = HTTPConnection("localhost", timeout=seconds)
    connection.sock = endpoint.connect(seconds)
    try:
        connection.request("GET", "/version")
        answer = json.loads(connection.getresponse().read(MOST_ANSWER_BYTES))
    except (HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}


def _version(text: object) -> tuple[int, int] | None:
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def connect(endpoint: Endpoint, version: str, seconds: float) -> DockerClient:
    """Return a client of the SDK for an engine that is known to answer; `seconds` limit each request."""
    tls = _sdk_certificates(endpoint.tls) if endpoint.tls else False
    client = DockerClient(base_url=endpoint.url, version=version, timeout=int(max(1, seconds)), tls=tls)
    # Else a bundle or proxy of the environment, meant for the internet, would replace the engine's certificates.
    client.api.trust_env = False
    if endpoint.path is not None:
        client.api.mount("http+docker://", _Adapter(f"http+unix://{endpoint.path}", int(max(1, seconds))))
    return client


def _sdk_certificates(files: Certificates) -> TLSConfig:
    pair = (str(files.certificate), str(files.key)) if files.certificate and files.key else None
    authority = str(files.authority) if files.authority else None
    return TLSConfig(client_cert=pair, ca_cert=authority, verify=files.verify)


class _Connection(UnixHTTPConnection):
    """The SDK's, but one that cannot be made does not leave its socket open."""

    def connect(self) -> None:
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(self.timeout)
            opened.connect(self.unix_socket)
        except BaseException:
            opened.close()
            raise
        self.sock = opened


class _Pool(UnixHTTPConnectionPool):
    # The pool hands its `timeout` on as it got it; the type of its base class says otherwise.
    def _new_conn(self) -> Any:
        return _Connection(self.base_url, self.socket_path, cast("int", self.timeout))


class _Adapter(UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> _Pool:  # noqa: ARG002 - the SDK's signature
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
        return cast("_Pool", pool)
