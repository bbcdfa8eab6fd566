"""Packs the files of a commit as the context of an image build, the same bytes for the same files."""

import io
import tarfile
from collections.abc import Iterable

from docker.utils.build import PatternMatcher

RESERVED_NAME = ".stagewright.Dockerfile"


def kept_paths(paths: Iterable[str], dockerignore: str) -> list[str]:
    """Return the paths that a `.dockerignore` leaves in the context."""
    lines = (line.strip() for line in dockerignore.splitlines())
    patterns = [line for line in lines if line and not line.startswith("#")]
    if not patterns:
        return list(paths)
    matcher = PatternMatcher(patterns)
    return [path for path in paths if not matcher.matches(path)]  # type: ignore[arg-type] # it works on text


def pack_context(files: Iterable[tuple[str, str, bytes]], dockerfile: bytes) -> bytes:
    """Return a tar of (path, git mode, content), with the Dockerfile under its reserved name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, mode, content in sorted([*files, (RESERVED_NAME, "100644", dockerfile)]):
            _add(tar, path, mode, content)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, path: str, mode: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    if mode == "120000":
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, content.decode(errors="surrogateescape"), 0o777
        tar.addfile(entry)
        return
    entry.size, entry.mode = len(content), 0o755 if mode == "100755" else 0o644
    tar.addfile(entry, io.BytesIO(content))
