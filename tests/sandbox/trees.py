"""Base trees made with real git in a temporary folder."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sandbox.base import BaseTree, Environment

MIB = 1 << 20
FILES: Mapping[str, bytes] = {
    ".gitattributes": b"* text=auto\n*.bat text eol=crlf\n",
    ".gitignore": b"*.log\nbuild/\n",
    "app.py": b"print('one')\n",
    "data/raw.bin": b"\x00\xff\r\n\x80",
    "data/windows.bat": b"echo\r\n",
    "deep/er/still.txt": b"deep\n",
    "run.sh": b"#!/bin/sh\necho ran\n",
    "unicode \u00e9\u4e16.txt": b"u\n",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], input=stdin, env=environment, capture_output=True, check=True
    )
    return done.stdout


def make_repository(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """Commit the files twice over, so that the base has a parent; `run.sh` is executable, `link` leads to app.py."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", ".")
    (folder / ".git/info/attributes").write_text("* -text !eol\n")
    git(folder, "commit", "-q", "--allow-empty", "-m", "before")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    if "run.sh" in files:
        (folder / "run.sh").chmod(0o755)
        (folder / "link").symlink_to("app.py")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "base")
    return folder


def base_tree(folder: Path) -> BaseTree:
    """Read HEAD of a repository as a base tree."""
    commit = git(folder, "rev-parse", "HEAD").decode().strip()
    entries, objects = {}, [commit, git(folder, "rev-parse", "HEAD^{tree}").decode().strip()]
    for line in git(folder, "ls-tree", "-r", "-t", "-z", commit).decode("utf-8", "surrogateescape").split("\0")[:-1]:
        facts, path = line.split("\t", 1)
        mode, kind, object_id = facts.split(" ")
        if kind != "commit":
            objects.append(object_id)
        if kind != "tree":
            entries[path] = (mode, object_id)
    pack = git(folder, "pack-objects", "--stdout", "-q", stdin="\n".join([*objects, ""]).encode())
    return BaseTree(commit, pack, entries)


def make_base(folder: Path, files: Mapping[str, bytes] = FILES) -> BaseTree:
    """Make a repository in a folder and return its base tree."""
    return base_tree(make_repository(folder, files))


def environment(**changes: object) -> Environment:
    """Return an environment small enough for tests."""
    settings: dict[str, object] = {
        "image": "stagewright/python",
        "memory": 1280 * MIB,
        "cpus": 2,
        "pids": 256,
        "disk": 256 * MIB,
    }
    return Environment(**{**settings, **changes})  # type: ignore[arg-type] # by name, from tests
