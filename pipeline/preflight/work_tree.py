"""Says before a run where its work tree will live."""

from pipeline.config.settings import SandboxSettings
from pipeline.git.base import measure_tree
from pipeline.git.command import Git
from pipeline.preflight.request import Surroundings
from sandbox.placement import place_work_tree, taken


def work_tree_note(around: Surroundings, sandbox: SandboxSettings | None) -> tuple[str, ...]:
    """Return the line for people, none while repository, commit or sizes are unknown."""
    if around.repository is None or around.base is None or sandbox is None:
        return ()
    size, files = measure_tree(Git(around.repository), around.base)
    place = place_work_tree(taken(size), files, disk=sandbox.disk, memory=sandbox.memory)
    where = "in memory" if place.where == "memory" else "on a disk volume"
    return (f"work tree {where}: {place.reason}; what setup leaves in it counts too",)
