"""The model behind a real server: llama.cpp in a process of its own, and a front that changes what it is asked."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clis.wire import CommandLineServer, Reply, Reset, Whole
from tests.loopback.brain import Brain, Say, always
from tests.loopback.serving import LoggedRequest

PACKAGES = Path(__file__).parents[2] / ".cache" / "local-model" / "packages"
SERVE = Path(__file__).with_name("serve.py")
MODEL = "smollm2-135m"
REFUSAL = f"{MODEL} does not support tools"


@contextmanager
def real_server(*, context: int = 4096) -> Iterator[str]:
    """Serve the model until the block ends; yield the address, without a path. It is never skipped."""
    if not (PACKAGES.parent / ".complete").exists():
        pytest.fail("the model is not installed; type `make test-local-model`")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    command = [sys.executable, str(SERVE), MODEL, str(context)]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), f"the model's server did not start: {address!r}"
        try:
            yield address
        finally:
            process.kill()


@contextmanager
def front(address: str, *, tools: bool = True, **sampling: float) -> Iterator[str]:
    """Put a front before the server that says how to sample, and without `tools` refuses them.

    Servers that know that their model takes no tools answer a request with tools like this.
    """

    def answer(request: LoggedRequest, _brain: Brain) -> Reply | None:
        if "tools" in request.json and not tools:
            return Whole({"error": {"message": REFUSAL, "type": "api_error", "param": None, "code": None}}, 400)
        return _forwarded(address + request.path, {**request.json, **sampling})

    with CommandLineServer(answer, always(Say())).running() as server:
        yield server.url


def _forwarded(url: str, body: object) -> Reply:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as reply:
            return Whole(json.load(reply))
    except urllib.error.HTTPError as no:
        with no:
            return Whole(json.load(no), no.code)
    except ConnectionError:
        return Reset()
