"""Asks Docker whether it answers and has what the environment needs; starts nothing."""

from pipeline.config.settings import SandboxSettings
from pipeline.environments.building import image_build
from pipeline.environments.choice import Choice, build_network
from pipeline.environments.commit_files import CommitFiles
from pipeline.git.command import Git
from pipeline.preflight.request import Surroundings
from pipeline.problem import Position, Problem, problem
from sandbox.base import SandboxUnavailableError
from sandbox.engine import engine_problem
from sandbox.fitting import UnfitImageError, look_at_image
from sandbox.image import image_id
from sandbox.image_build import BuildError, look_at_build
from sandbox.recipe import OWN_IMAGES, how_to_get

AGAIN = "`stagewright doctor` looks again"


async def look_at_docker(
    around: Surroundings, sandbox: SandboxSettings | None, at: Position | None
) -> tuple[Problem, ...]:
    """Return what is wrong with the engine, else with the environment; without a choice only the engine is asked."""
    silent = await engine_problem()
    if silent is not None:
        return (problem("SW401", silent.rstrip("."), AGAIN),)
    choice = around.choice
    if choice is None or sandbox is None:
        return ()
    key = choice.key or "sandbox.image"
    try:
        if choice.dockerfile is not None:
            await _look_at_dockerfile(around, choice, sandbox)
        elif choice.image is not None:
            return await _look_at_image(choice, choice.image, at)
    except BuildError as error:
        return (problem("SW407", error.message, error.advice, at=at, key=key),)
    except UnfitImageError as error:
        return (problem("SW407", error.message, error.advice, at=at, key=key),)
    except SandboxUnavailableError as error:
        return (problem("SW401", str(error).rstrip("."), AGAIN),)
    return ()


async def _look_at_image(choice: Choice, image: str, at: Position | None) -> tuple[Problem, ...]:
    if await image_id(image) is not None:
        await look_at_image(image)
        return ()
    why = "" if choice.source == "config" else f" ({choice.reason})"
    hint = f"type `{how_to_get(image)}`"
    if image not in OWN_IMAGES:
        hint = f"`docker build -t {image} .` or `docker pull {image}`; it needs at least Python 3 and git"
    if choice.source in {"devcontainer", "lockfile"}:
        hint += "; or name another at sandbox.image"
    return (problem("SW402", f"the image `{image}`{why} is not there", hint, at=at, key="sandbox.image"),)


async def _look_at_dockerfile(around: Surroundings, choice: Choice, sandbox: SandboxSettings) -> None:
    if around.repository is None or around.base is None or choice.dockerfile is None:
        return
    files = CommitFiles.of(Git(around.repository), around.base)
    build = image_build(choice.dockerfile, files, network=build_network(choice, sandbox), memory=sandbox.memory)
    await look_at_build(build)
