"""A repository of 100,000 lines in 2,000 files, made the same each time."""

import os
import subprocess
from pathlib import Path

FILES = 2_000
LINES = 50
SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
# The change that is taken out: thirty edited files, one deleted, one new, one binary.
CHANGE = (
    "for n in $(seq 30); do echo changed >> package_$n/module_$n.py; done; rm package_40/module_40.py; "
    "echo new > new.py; head -c 200000 /dev/urandom > new.bin"
)


def git(folder: Path, *arguments: str) -> str:
    """Run git with nobody's settings."""
    command = ["git", "-C", str(folder), "-c", "user.name=b", "-c", "user.email=b@example.org", *arguments]
    environment = {**SETTINGS, "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.strip()


def make(folder: Path) -> str:
    """Make the repository and return its commit."""
    git(folder, "init", "-q", ".")
    for number in range(FILES):
        path = folder / f"package_{number % 100}" / f"module_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"value_{number}_{line} = {number * line}\n" for line in range(LINES)))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    return git(folder, "rev-parse", "HEAD")
