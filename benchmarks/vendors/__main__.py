"""Print what the vendors' SDKs cost: import time, the overhead of a call, the cached share of a session."""

import argparse
import os
import platform

import anyio

from benchmarks.vendors import caching, calling, importing
from tests.vendors import coder_session


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vendors", description=__doc__)
    parser.add_argument("--imports", type=int, default=9, metavar="N", help="fresh processes per import")
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="calls per contender")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, Python {platform.python_version()}, load {load:.1f} at the start\n")
    print("Import, in a fresh process\n")
    print(importing.table(importing.measure(arguments.imports)))
    print("\nOne call to a loopback server in another process\n")
    print(calling.table(anyio.run(calling.measure, arguments.calls)))
    print(f"\nA Coder session of {coder_session.TURNS} turns, on servers that find prefixes as vendors' caches do\n")
    print(caching.table(caching.measure()))


if __name__ == "__main__":
    main()
