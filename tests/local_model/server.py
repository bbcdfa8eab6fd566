"""The model behind a real server: llama.cpp in a process of its own, and a front that changes what it is asked."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.clis.wire import CommandLineServer, Piped, Reply, Reset, Whole
from tests.loopback.brain import Brain, Say, always
from tests.loopback.serving import LoggedRequest

PACKAGES = Path(__file__).parents[2] / ".cache" / "local-model" / "packages"
SERVE = Path(__file__).with_name("serve.py")
MODEL = "smollm2-135m"
REFUSAL = f"{MODEL} does not support tools"


# Left alone the model never calls a tool; under this grammar it does nothing else, and chooses which, how and on what.
CALLS = r"""
root ::= "```tool\n{\"name\": \"" (well-formed | name "\", \"arguments\": {" (pair (", " pair){0,3})? "}") "}\n```"
well-formed ::= run | write | read | finish
run ::= "run\", \"arguments\": {\"command\": " string ", \"timeout\": null}"
write ::= "write_file\", \"arguments\": {\"path\": " string ", \"content\": " string "}"
read ::= "read_file\", \"arguments\": {\"path\": " string ", \"start_line\": null, \"end_line\": null}"
finish ::= "finish\", \"arguments\": {\"summary\": " string "}"
name ::= reading | writing | "run" | "finish" | "submit_review" | "request_scope" | "open_file"
reading ::= "read_file" | "list_files" | "search"
writing ::= "edit_file" | "write_file" | "delete_file"
pair ::= "\"" key "\": " value
key ::= "path" | "content" | "old" | "new" | "pattern" | "start_line" | "end_line" | more
more ::= "command" | "timeout" | "summary" | "paths" | "reason" | "verdict" | "findings"
value ::= string | "null" | [0-9]{1,5} | "[" string "]" | "[]"
string ::= "\"" ("shop/price.py" | "pytest -q" | "return" | [^"\\\x00-\x1f]{0,30}) "\""
"""


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
def front(address: str, *, seed: int, tools: bool = True, **sampling: str) -> Iterator[str]:
    """Put a front before the server that says how to sample, from `seed` on, and without `tools` refuses them.

    Each request has a seed of its own, or one that repeats another would have the same reply. The refusal is that of
    servers which know that their model takes no tools.
    """
    seeds = count(seed)

    def answer(request: LoggedRequest, _brain: Brain) -> Reply | None:
        if "tools" in request.json and not tools:
            return Whole({"error": {"message": REFUSAL, "type": "api_error", "param": None, "code": None}}, 400)
        return _forwarded(address + request.path, {**request.json, **sampling, "seed": next(seeds)})

    with CommandLineServer(answer, always(Say())).running() as server:
        yield server.url


def _forwarded(url: str, body: object) -> Reply:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        return Piped(urllib.request.urlopen(request))
    except urllib.error.HTTPError as no:
        with no:
            return Whole(json.load(no), no.code)
    except ConnectionError:
        return Reset()
