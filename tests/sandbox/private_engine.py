"""A second Docker engine in namespaces of its own: what a test does to it, the machine's engine never notices."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import docker.errors
import requests

from sandbox.image import DEFAULT_IMAGE

# Its own network namespace: an engine without a bridge removes the one it finds.
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
OPTIONS = "--bridge=none --iptables=false --ip-forward=false --ip-masq=false --containerd-namespace=private"
# Enough of the image for the agent and git: the whole takes ten seconds to load.
COPY = """
cd /
for name in sh dash mktemp rm mkdir find cp cat env sleep chmod ls touch; do tools="$tools usr/bin/$name"; done
for name in json ctypes re importlib collections encodings lib-dynload; do lib="$lib usr/lib/python3.11/$name"; done
tar -cf - bin sbin lib lib64 tmp workspace home/agent etc usr/lib64 usr/bin/python3* usr/bin/git $tools $lib \
  usr/lib/git-core/git usr/lib/python3.11/*.py usr/lib/x86_64-linux-gnu/ld-* usr/lib/x86_64-linux-gnu/lib[a-z]*.so*
"""


class PrivateEngine:
    """Starts, ends and kills an engine below a folder; `address` is what DOCKER_HOST takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self._shell = subprocess.Popen(
            [*NAMESPACES, "sh", "-c", 'while read -r line; do eval "$line"; done'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        (folder / "data").mkdir()
        self._say(f"mount -t tmpfs tmpfs {folder}/data")

    def start(self) -> None:
        """Start the engine and return when it answers."""
        folder = self.folder
        self._say(
            f"dockerd --host {self.address} --data-root {folder}/data --exec-root {folder}/exec "
            f"--pidfile {folder}/pid {OPTIONS} > {folder}/log 2>&1 & engine=$!"
        )
        self._say(f"until docker -H {self.address} version >/dev/null 2>&1; do kill -0 $engine || break; done; echo up")
        assert self._heard() == "up"
        docker.DockerClient(base_url=self.address).close()

    def end(self, signal: str) -> None:
        """Send the engine a signal and return when its process is gone."""
        self._say(f"kill -{signal} $engine; wait $engine; echo gone")
        assert self._heard() == "gone"
        if signal == "KILL":
            # What an init system would do before it starts the engine again.
            self._say(f"rm -f {self.folder}/pid {self.folder}/docker.sock; echo clean")
            assert self._heard() == "clean"

    def load_image(self) -> None:
        """Copy what the agent needs of the default image from the machine's engine."""
        run = ["docker", "run", "--rm", "--network", "none", "--user", "0", DEFAULT_IMAGE, "sh", "-c", COPY]
        change = ["--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin"]
        with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as copied:
            subprocess.run(
                ["docker", "-H", self.address, "import", *change, "-", DEFAULT_IMAGE],
                stdin=copied.stdout,
                check=True,
                capture_output=True,
            )

    def close(self) -> None:
        """End everything that runs in the namespaces."""
        self._shell.kill()
        self._shell.communicate()

    def _say(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(line + "\n")
        self._shell.stdin.flush()

    def _heard(self) -> str:
        assert self._shell.stdout is not None
        return self._shell.stdout.readline().strip()


def missing() -> str | None:
    """Return why no second engine can be started here."""
    if os.geteuid() != 0:
        return "only root can start a second Docker engine"
    absent = [name for name in ("dockerd", "containerd", "unshare") if shutil.which(name) is None]
    return f"a second Docker engine needs {', '.join(absent)}" if absent else None


@contextmanager
def private_engine(folder: Path) -> Iterator[PrivateEngine]:
    """Yield a running engine that has the default image."""
    engine = PrivateEngine(folder)
    try:
        engine.start()
        engine.load_image()
        yield engine
    finally:
        engine.close()


def containers(engine: PrivateEngine) -> list[str]:
    """Return the ids of all containers the engine knows."""
    client = docker.DockerClient(base_url=engine.address)
    try:
        return [str(row["Id"]) for row in client.api.containers(all=True)]
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise AssertionError("the private engine does not answer") from error
    finally:
        client.close()


def wait_until_removed(engine: PrivateEngine, container: str, *, seconds: int) -> None:
    """Return once a container is gone: a restarted engine removes what died without it on its own time."""
    client = docker.DockerClient(base_url=engine.address)
    try:
        client.api.wait(container, timeout=seconds, condition="removed")
    except docker.errors.NotFound:
        return
    finally:
        client.close()
