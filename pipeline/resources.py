"""Where the files shipped with the program are, in an installed copy and in a checkout."""

from importlib.resources import files
from pathlib import Path

from pipeline.errors import InfrastructureError

INSTALLED = "shipped"  # a folder of the wheel; a checkout has the originals instead
CHECKOUT = {"pipeline.yaml": "pipeline.yaml", "demo": "examples/demo"}


def resource(name: str) -> Path:
    """Return the path of a shipped file or folder: `pipeline.yaml` or `demo`.

    :raises InfrastructureError: it is not there, so the installation is broken.
    """
    package = Path(str(files("pipeline")))
    for path in (package / INSTALLED / name, package.parent / CHECKOUT[name]):
        if path.exists():
            return path
    raise InfrastructureError(f"the installation lacks its file `{name}`: install stagewright again")
