"""Packs what building a Dockerfile needs from the base commit."""

from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.dockerfile import Dockerfile, inside
from sandbox.build_context import kept_paths, pack_context
from sandbox.image_build import BuildError, ImageBuild

MOST_FILES = 20_000
MOST_BYTES = 100 << 20


def image_build(dockerfile: Dockerfile, files: CommitFiles, *, network: bool, memory: int) -> ImageBuild:
    """Return the build of a Dockerfile with the commit's files, and no others, as its context.

    :raises BuildError: the commit has no such file or folder, or too much in it.
    """
    path = inside(dockerfile.path)
    text = files.text(path) if path else None
    if text is None:
        advice = f"only committed files count: `git add {dockerfile.path}` and commit, or correct the path"
        raise BuildError(f"the base commit has no file `{dockerfile.path}`", advice)
    return ImageBuild(
        dockerfile=dockerfile.path,
        text=text,
        context=pack_context(_context(dockerfile, files), text.encode()),
        arguments=dockerfile.arguments,
        target=dockerfile.target,
        network=network,
        memory=memory,
    )


def _context(dockerfile: Dockerfile, files: CommitFiles) -> list[tuple[str, str, bytes]]:
    folder = f"{dockerfile.context}/" if dockerfile.context else ""
    known = {path.removeprefix(folder): path for path in files.entries if path.startswith(folder)}
    if not known:
        raise BuildError(f"the base commit has no folder `{dockerfile.context}`", "correct the build context's path")
    own = f"{dockerfile.path}.dockerignore"
    ignore = files.text(own if own in files.entries else f"{folder}.dockerignore") or ""
    kept = kept_paths(known, ignore)
    size = sum(files.sizes(known[path] for path in kept).values())
    if len(kept) > MOST_FILES or size > MOST_BYTES:
        amount = f"{len(kept)} files with {size >> 20} MiB; at most {MOST_FILES} with {MOST_BYTES >> 20} MiB"
        raise BuildError(
            f"the context of {dockerfile.path} has {amount}", "list what it does not need in .dockerignore"
        )
    contents = files.contents(known[path] for path in kept)
    return [(path.removeprefix(folder), mode, content) for path, mode, content in contents]
