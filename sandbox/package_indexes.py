"""How this machine reaches its package indexes, without the credentials, for use while setup runs."""

import configparser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

BUNDLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# pip's option -> the variable that sets it; each holds one or several addresses.
PIP_ADDRESSES = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "find-links": "PIP_FIND_LINKS",
}
OTHER_ADDRESSES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
)
PORTS = {"http": 80, "https": 443}
PLAIN = ("PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT", "NO_PROXY", "no_proxy")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class PackageIndexes:
    """Variables for setup's commands, and folders of this machine they name: those are mounted read-only."""

    variables: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    def hosts(self) -> list[tuple[str, int]]:
        """Return the host and port of every index that is a server; proxies of this machine are none."""
        found = []
        for name, value in self.variables.items():
            for text in value.split() if name in (*PIP_ADDRESSES.values(), *OTHER_ADDRESSES) else ():
                parts = urlsplit(text)
                if parts.hostname and parts.scheme in PORTS:
                    found.append((parts.hostname, parts.port or PORTS[parts.scheme]))
        return found


def package_indexes(environ: Mapping[str, str], home: Path, prefix: Path) -> PackageIndexes:
    """Read the settings of pip, uv and npm from the environment and their files; `prefix` is the Python in use."""
    raw = {**_from_pip_files(environ, home, prefix), **_from_npm_file(home)}
    raw.update(
        {name: environ[name] for name in (*PIP_ADDRESSES.values(), *OTHER_ADDRESSES, *PROXIES) if name in environ}
    )
    variables: dict[str, str] = {}
    folders: list[str] = []
    for name, value in raw.items():
        usable = [address for text in value.split() if (address := _usable(text, folders))]
        if usable:
            variables[name] = " ".join(usable)
    variables.update({name: environ[name] for name in PLAIN if name in environ})
    return PackageIndexes(variables, tuple(dict.fromkeys(folders)))


def certificate_bundle(environ: Mapping[str, str]) -> bytes | None:
    """Return the certificates this machine trusts, or None when no bundle is found."""
    for name in (*(environ.get(variable, "") for variable in BUNDLES), *SYSTEM_BUNDLES):
        if name and Path(name).is_file():
            return Path(name).read_bytes()
    return None


def _usable(address: str, folders: list[str]) -> str | None:
    """Return an address that means the same in a container, noting the folder it needs; None when none does."""
    parts = urlsplit(address)
    if parts.scheme in {"", "file"}:
        path = Path(unquote(parts.path) if parts.scheme else address)
        if not path.is_absolute() or not path.exists():
            return None
        folders.append(str(_mountable(path)))
        return address
    if parts.hostname is None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    without_user = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, without_user, parts.path, parts.query, ""))


def _mountable(path: Path) -> Path:
    """Return the folder to mount: an index named `simple` keeps its files beside itself."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "simple" and len(folder.parts) > 2 else folder


def _from_pip_files(environ: Mapping[str, str], home: Path, prefix: Path) -> dict[str, str]:
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip/pip.conf"]
    files += [Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf", prefix / "pip.conf"]
    if named := environ.get("PIP_CONFIG_FILE"):
        files.append(Path(named))
    found: dict[str, str] = {}
    for section, option, value in _pip_options(files):
        if section in {"global", "install"} and option in PIP_ADDRESSES:
            found[PIP_ADDRESSES[option]] = value
    return found


def _pip_options(files: Iterable[Path]) -> Iterable[tuple[str, str, str]]:
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in parser.sections():
            yield from ((section, option, value) for option, value in parser.items(section))


def _from_npm_file(home: Path) -> dict[str, str]:
    try:
        lines = (home / ".npmrc").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    for line in lines:
        name, separator, value = line.partition("=")
        if separator and name.strip() == "registry":
            return {"npm_config_registry": value.strip()}
    return {}
