"""Asks Docker whether it answers and has the image; starts nothing."""

from pipeline.problem import Position, Problem, problem
from sandbox.base import SandboxUnavailableError
from sandbox.engine import engine_problem
from sandbox.image import DEFAULT_IMAGE, image_id

AGAIN = "`stagewright doctor` looks again"


async def look_at_docker(image: str | None, at: Position | None) -> tuple[Problem, ...]:
    """Return what is wrong with the engine, else with the image; without an image only the engine is asked."""
    silent = await engine_problem()
    if silent is not None:
        return (problem("SW401", silent.rstrip("."), AGAIN),)
    if image is None:
        return ()
    try:
        missing = await image_id(image) is None
    except SandboxUnavailableError as error:
        return (problem("SW401", str(error).rstrip("."), AGAIN),)
    own = f"`docker build -t {image} .` or `docker pull {image}`; it needs at least Python 3 and git"
    hint = "type `stagewright sandbox build`" if image == DEFAULT_IMAGE else own
    return (problem("SW402", f"the image `{image}` is not there", hint, at=at, key="sandbox.image"),) if missing else ()
