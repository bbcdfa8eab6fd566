"""`sandbox gc` removes volumes of dead owners and prepared images that are old, and nothing else."""

import os
import time
from collections.abc import Iterator

import pytest
from docker import DockerClient

from sandbox.old_images import made_at, remove_old_images
from sandbox.reaper import owner_labels, remove_orphans
from tests.sandbox.test_life_of_a_container import dead_owner

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
MINE = f"t{os.getpid()}"


@pytest.fixture
def old(engine: DockerClient) -> Iterator[str]:
    """Give our image the name of a prepared one."""
    engine.images.get("stagewright/python").tag("stagewright/env", MINE)
    yield f"stagewright/env:{MINE}"
    if engine.images.list(f"stagewright/env:{MINE}"):
        engine.images.remove(f"stagewright/env:{MINE}")


async def test_only_a_dead_owner_s_volume_is_removed(engine: DockerClient) -> None:
    dead, mine = dead_owner(), owner_labels("living")
    labelled = {
        "dead": dead,
        "living": mine,
        "used again": {**dead, "stagewright.owner.pid": str(os.getpid())},
        "elsewhere": {**dead, "stagewright.host": "another"},
        "not ours": {"stagewright.owner.pid": "1"},
    }
    made = {name: engine.volumes.create(labels=labels) for name, labels in labelled.items()}
    try:
        await remove_orphans(say=lambda _: None)
        kept = {volume.name for volume in engine.volumes.list()}
        gone = {name for name, volume in made.items() if volume.name not in kept}
    finally:
        for volume in engine.volumes.list():
            if volume.name in {each.name for each in made.values()}:
                volume.remove()
    assert gone == {"dead", "used again"}


async def test_an_image_is_removed_only_once_it_is_old(engine: DockerClient, old: str) -> None:
    created = made_at(engine.api.images(name=old)[0]["Created"])
    # The oldest of ours decides, so that no image of another run is ever removed by this test.
    prepared = engine.api.images(name="stagewright/env")
    others = [made_at(row["Created"]) for row in prepared if old not in row["RepoTags"]]
    assert old not in await remove_old_images(1, now=created + 86_000, say=lambda _: None)
    if any(other <= created for other in others):
        pytest.skip("an older prepared image is here, and this test must not remove it")
    said: list[str] = []
    assert await remove_old_images(1, now=created + 86_401, say=said.append) == [old]
    assert said == [f"removed image {old}, made more than 1 days ago"]
    assert engine.images.get("stagewright/python")


async def test_a_date_and_seconds_mean_the_same_moment() -> None:
    assert made_at("1970-01-02T00:00:00+00:00") == made_at(86_400) == 86_400
    assert made_at(int(time.time())) <= time.time()
