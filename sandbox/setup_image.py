"""What a prepared image is, on paper: its name, its labels, and the files a setup container starts with."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence

from sandbox.recipe import HOME, USER_ID, WORKSPACE

REPOSITORY = "stagewright/env"
VENV = "/opt/venv"
OWN_FOLDER = "/opt/stagewright"
CARRIED_FOLDER = f"{OWN_FOLDER}/carried"
CARRIED_LABEL = "stagewright.carried"
CARRIED_BYTES_LABEL = "stagewright.carried.bytes"
BUNDLE = f"{OWN_FOLDER}/ca.pem"
BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
# An image inherits its container's labels, but a container that somebody starts of it is not the dead maker's.
NO_OWNER = "LABEL stagewright.host="
# Changed whenever the same commands would give another image.
LAYOUT = "5"


def image_key(
    image_id: str, commands: Sequence[str], files: Mapping[str, bytes], *, network: bool | Sequence[str]
) -> str:
    """Identify what setup makes: the image, the commands, and the files that say what they install."""
    parts = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    text = json.dumps([LAYOUT, image_id, list(commands), parts, network], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def carried_label(paths: Sequence[str]) -> str:
    """Return the label's text for paths that setup left in the work tree; the engine would expand a plain `$`."""
    return base64.b64encode(json.dumps(sorted(paths)).encode()).decode()


def carried_paths(labels: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Return (paths, folder to copy them from); an image without the label carries nothing."""
    try:
        paths = json.loads(base64.b64decode(labels.get(CARRIED_LABEL, ""), validate=True) or b"[]")
    except ValueError:
        paths = []
    known = tuple(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
    return (known, CARRIED_FOLDER) if known else ((), "")


def carried_bytes(labels: Mapping[str, str]) -> int:
    """Return what the carried files take up on a disk."""
    size = labels.get(CARRIED_BYTES_LABEL, "")
    return int(size) if size.isascii() and size.isdecimal() and len(size) < 19 else 0


def first_files(bundle: bytes | None) -> bytes:
    """Return a tar of the folders setup writes to, owned by the container's user, and the host's certificates."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in (WORKSPACE, VENV, HOME, OWN_FOLDER, CARRIED_FOLDER):
            entry = tarfile.TarInfo(folder.lstrip("/"))
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, USER_ID, USER_ID
            tar.addfile(entry)
        if bundle is not None:
            entry = tarfile.TarInfo(BUNDLE.lstrip("/"))
            entry.mode, entry.size = 0o644, len(bundle)
            tar.addfile(entry, io.BytesIO(bundle))
    return buffer.getvalue()


def commit_changes(path: str, carried: Sequence[str], size: int = 0) -> list[str]:
    """Return the instructions that make the container's state an image; `path` is its PATH without the venv.

    `size` is what the carried files take up.
    """
    return [
        f"ENV PATH={VENV}/bin:{path}",
        f"ENV VIRTUAL_ENV={VENV}",
        f"LABEL {CARRIED_LABEL}={carried_label(carried)} {CARRIED_BYTES_LABEL}={size}",
        NO_OWNER,
    ]
