"""Makes the environment of a run ready: builds or fits its image where needed, and runs setup once."""

from dataclasses import replace

from pipeline.environments.building import image_build
from pipeline.environments.choice import Choice, build_network, choose
from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.key_files import key_files
from pipeline.running.project_folder import in_project
from pipeline.running.run import Run
from sandbox.base import Environment
from sandbox.fitting import fitted_image
from sandbox.image_build import built_image
from sandbox.recipe import PYTHON
from sandbox.setup import prepared_image


async def prepared_environment(run: Run) -> Environment:
    """Return what the run's containers are made of, with its image there.

    :raises SandboxUnavailableError: the image is missing, cannot be used or built, or setup failed.
    """
    files = CommitFiles(run.git, run.base.entries)
    choice = choose(run.settings.sandbox, files, run.settings.repo.subdir)
    run.seams.say(f"environment: {choice.line()}")
    for note in choice.notes:
        run.seams.say(f"note: {note}")
    environment = replace(run.environment, image=await _image(run, choice, files))
    if not choice.setup:
        return environment
    sandbox = run.settings.sandbox
    image = await prepared_image(
        replace(environment, network=sandbox.network == "setup"),
        run.base,
        in_project(run.settings.repo.subdir, choice.setup),
        sandbox.setup_timeout or run.wall_clock,
        lock_files=key_files(choice.setup, files, run.settings.repo.subdir),
        say=run.seams.say,
    )
    return replace(environment, image=image)


async def _image(run: Run, choice: Choice, files: CommitFiles) -> str:
    sandbox = run.settings.sandbox
    image = choice.image or PYTHON.name
    if choice.dockerfile is not None:
        build = image_build(choice.dockerfile, files, network=build_network(choice, sandbox), memory=sandbox.memory)
        image = await built_image(build, seconds=sandbox.setup_timeout or run.wall_clock, say=run.seams.say)
    return await fitted_image(image, variables=choice.variables, say=run.seams.say)
