"""Real repositories for the tests, made with plain git."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PLAIN = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "@1700000000 +0000",
    "GIT_COMMITTER_DATE": "@1700000000 +0000",
    "GIT_ALLOW_PROTOCOL": "file",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run naive git, as a user would."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=PLAIN, input=stdin, capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape").strip()


def make_repository(folder: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """Make a repository with one commit of `files`; paths ending in .sh are executable."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for path, content in (files or {"a.txt": b"one\n"}).items():
        write(folder, path, content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "base")
    return folder


def write(folder: Path, path: str, content: bytes) -> None:
    """Write a file, parents included."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    if path.endswith(".sh"):
        file.chmod(0o755)


def fingerprint(folder: Path) -> str:
    """Return a hash of every byte, name, mode and link below a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        digest.update(f"{file.relative_to(folder)}\0{file.lstat().st_mode}\0".encode(errors="surrogateescape"))
        if file.is_symlink():
            digest.update(os.fsencode(file.readlink()))
        elif file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def files_below(folder: Path) -> set[str]:
    """Return the relative path of every file below a folder."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}
