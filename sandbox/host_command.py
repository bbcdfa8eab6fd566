"""Runs one trusted tool of the host to its end, with a time limit and its last words as the error."""

import os
from collections.abc import Sequence

import anyio
from anyio import fail_after

from sandbox.base import SandboxUnavailableError

LAST_LINES = 5


async def run_host_command(command: Sequence[str], *, timeout: float) -> bytes:  # noqa: ASYNC109 - seconds of the tool
    """Return what the command printed.

    :raises SandboxUnavailableError: it failed, is missing, or took longer than `timeout` seconds.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        with fail_after(timeout):
            finished = await anyio.run_process(list(command), env=environment, check=False)
    except TimeoutError as error:
        raise SandboxUnavailableError(f"`{command[0]}` did not end within {timeout:.0f} s") from error
    except OSError as error:
        raise SandboxUnavailableError(f"`{command[0]}` cannot be run: {error}") from error
    if finished.returncode != 0:
        last = finished.stderr.decode(errors="replace").splitlines()[-LAST_LINES:]
        raise SandboxUnavailableError(f"`{' '.join(command)[:200]}` failed: {' | '.join(last)}")
    return finished.stdout
