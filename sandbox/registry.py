"""Loads a sandbox backend by its name, so that nobody imports an engine's SDK without needing it."""

from importlib import import_module
from typing import cast

from sandbox.base import Backend, SandboxUnavailableError

BACKENDS = ("docker",)


def load_backend(name: str = "docker") -> Backend:
    """Return the backend of `sandbox/<name>.py`.

    :raises SandboxUnavailableError: there is none of that name.
    """
    if name not in BACKENDS:
        raise SandboxUnavailableError(f"there is no sandbox backend {name!r}; known: {', '.join(BACKENDS)}")
    return cast("Backend", import_module(f"sandbox.{name}").backend())
