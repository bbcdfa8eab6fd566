"""What is in an image, read from a container that is never started: nothing races with its end."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from docker import DockerClient


@contextmanager
def archive(engine: DockerClient, image: str, path: str) -> Iterator[tarfile.TarFile]:
    """Yield a file or folder of an image as the engine packs it."""
    container = engine.containers.create(image, ["true"])
    try:
        chunks, _ = container.get_archive(path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as packed:
            yield packed
    finally:
        container.remove(force=True)


def content(engine: DockerClient, image: str, path: str) -> bytes:
    """Return a file's bytes."""
    with archive(engine, image, path) as packed:
        (member,) = packed.getmembers()
        stream = packed.extractfile(member)
        assert stream is not None
        return stream.read()


def below(engine: DockerClient, image: str, folder: str) -> list[str]:
    """Return the names of everything below a folder."""
    with archive(engine, image, folder) as packed:
        return [name for name in packed.getnames() if "/" in name]
