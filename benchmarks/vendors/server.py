"""A loopback server in a process of its own: `python -m benchmarks.vendors.server VENDOR`, until its input ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stages.model import Usage
from tests.loopback import Say, always, anthropic_server, chat_server, google_server, openai_server

SERVERS = {
    "anthropic": anthropic_server,
    "openai": openai_server,
    "google": google_server,
    "compatible": chat_server,
}
BRAIN = always(Say("fine", usage=Usage(100, 0, 0, 10), reasoning=False))


@contextmanager
def served(vendor: str) -> Iterator[str]:
    """Serve a vendor's protocol from another process, so that its work is not ours; yield its base_url."""
    command = [sys.executable, "-m", __name__, vendor]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    """Print the address and serve."""
    with SERVERS[sys.argv[1]](BRAIN) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
