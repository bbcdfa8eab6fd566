"""What holds for every test: no keys, no proxies, no state of the user's, one event loop."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A property holds or not; how busy the machine is must not decide that.
settings.register_profile("stagewright", deadline=None, print_blob=True)
settings.load_profile("stagewright")
REMOVED_ENDINGS = ("_API_KEY", "_AUTH_TOKEN", "_BASE_URL", "_PROXY")
REMOVED_BEGINNINGS = ("STAGEWRIGHT_", "GIT_", "OTEL_")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make a real call by accident impossible, and keep the user's own state and git settings out of reach."""
    for name in tuple(os.environ):
        if name.upper().endswith(REMOVED_ENDINGS) or name.startswith(REMOVED_BEGINNINGS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(_home(tmp_path_factory) / "state"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests once, on the event loop the program uses."""
    return "asyncio"


def _home(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("home")
