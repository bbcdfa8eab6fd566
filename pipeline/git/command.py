"""The only place that runs host git: fixed surroundings, limits, and errors that say what to do."""

import os
import signal
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from pipeline.errors import GitError
from pipeline.git.isolation import ENVIRONMENT, SETTINGS, as_environment, blanks
from sandbox.base import EMPTY

TIMEOUT_SECONDS = 120
_NOT_FOUND = 127
# `ulimit` counts CPU seconds, KiB of address space (2 GiB) and blocks of 512 bytes (2 GiB). A limit that
# cannot be set is stricter already, or unknown to this system.
_LIMITED_GIT = (
    'exec 3>&2 2>/dev/null; ulimit -t 120; ulimit -v 2097152; ulimit -f 4194304; exec 2>&3 3>&-; exec git "$@"'
)


class Git:
    """Host git on one repository.

    With `objects`, a folder of the run's own, everything written lands there and the repository's `.git` stays
    as it is, byte for byte; without it, objects go where the repository keeps its own.
    """

    def __init__(self, repository: Path, objects: Path | None = None) -> None:
        self.repository = repository
        self.objects = objects

    def run(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] = EMPTY) -> bytes:
        """Run one plumbing command and return its output.

        :raises GitError: it failed or took longer than two minutes; the message has git's own words.
        """
        return self._run(arguments, stdin, {**self._stores, **as_environment(self._blanks), **environment})

    @cached_property
    def _blanks(self) -> dict[str, str]:
        # Listing executes nothing and follows includes, so names from an included file are found as well.
        listing = self._run(("config", "--list", "--name-only", "-z"), b"", {})
        return blanks(name.decode(errors="surrogateescape") for name in listing.split(b"\0") if name)

    @cached_property
    def _stores(self) -> dict[str, str]:
        if self.objects is None:
            return {}
        self.objects.mkdir(parents=True, exist_ok=True)
        users = self._run(("rev-parse", "--path-format=absolute", "--git-path", "objects"), b"", {})
        return {
            "GIT_OBJECT_DIRECTORY": str(self.objects.absolute()),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(users.decode(errors="surrogateescape").rstrip("\n")),
        }

    def _run(self, arguments: tuple[str, ...], stdin: bytes, environment: Mapping[str, str]) -> bytes:
        settings = [word for setting in SETTINGS for word in ("-c", setting)]
        command = ["/bin/sh", "-c", _LIMITED_GIT, "sh", *settings, *arguments]
        surroundings = {
            **ENVIRONMENT,
            "PATH": _absolute(os.environ.get("PATH", os.defpath)),
            # Never look for a repository above the one that was opened.
            "GIT_CEILING_DIRECTORIES": str(self.repository.absolute().parent),
            **environment,
        }
        with self._started(command, surroundings) as process:
            return self._finished(process, arguments, stdin)

    def _started(self, command: list[str], surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                cwd=self.repository,
                env=surroundings,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            raise GitError(f"{self.repository} is gone; put the repository back where it was, then go on") from error

    def _finished(self, process: subprocess.Popen[bytes], arguments: tuple[str, ...], stdin: bytes) -> bytes:
        try:
            output, errors = process.communicate(stdin, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise GitError(
                f"`git {arguments[0]}` in {self.repository} took longer than {TIMEOUT_SECONDS} s and was ended"
            ) from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            raise GitError(_explained(self.repository, arguments[0], process.returncode, errors))
        return output


def _absolute(path: str) -> str:
    # A relative entry would find programs in the repository.
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder).is_absolute())


def _quoted(path: str) -> str:
    # Quoted in git's way a path may hold the separator, a colon.
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _explained(repository: Path, command: str, exit_code: int, errors: bytes) -> str:
    words = " ".join(errors.decode(errors="backslashreplace").split())[:600]
    if exit_code == _NOT_FOUND:
        return "git was not found; install it, for example with `apt-get install git`"
    if "dubious ownership" in words:
        return (
            f"{repository} belongs to another user, and git does not trust its configuration; run Stagewright as its "
            "owner, or change the owner with `chown`"
        )
    return f"`git {command}` failed in {repository} (exit code {exit_code}): {words or 'it gave no reason'}"
