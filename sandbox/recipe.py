"""What our own sandbox images are made of, as text: packages, finishing script, build file."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

USER_ID = 10001
WORKSPACE = "/workspace"
HOME = "/home/agent"
BASE_IMAGE = "debian:stable-slim"
PACKAGES = (
    "ca-certificates",
    "git",
    "make",
    "python-is-python3",
    "python3",
    "python3-pip",
    "python3-pytest",
    "python3-venv",
    "ripgrep",
)
# git inside belongs to the container's user alone, so ownership says nothing there.
FINISHING = (
    f"useradd --uid {USER_ID} --user-group --create-home --home-dir {HOME} --shell /bin/bash agent",
    f"install -d -o {USER_ID} -g {USER_ID} {WORKSPACE}",
    r"printf '[safe]\n\tdirectory = *\n[core]\n\tfsmonitor = false\n[gc]\n\tauto = 0\n' > /etc/gitconfig",
    "find / -xdev -type f -perm /6000 -exec chmod a-s {} +",
    "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/share/doc/* /usr/share/man/*",
)
FINISH = " && ".join(FINISHING)
RECIPE_LABEL = "stagewright.recipe"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One of our images: its name, the Debian packages in it, and how to say so in a line."""

    name: str
    packages: tuple[str, ...]
    contents: str

    def identity(self) -> str:
        """Identify this recipe, so that an image built from an older one is rebuilt."""
        return hashlib.sha256("\n".join([*self.packages, *FINISHING]).encode()).hexdigest()[:16]

    def settings(self) -> dict[str, str]:
        """Return the image's settings, by Dockerfile instruction."""
        return {
            "USER": f"{USER_ID}:{USER_ID}",
            "WORKDIR": WORKSPACE,
            "ENV": f"LANG=C.UTF-8 HOME={HOME}",
            "LABEL": f"app=stagewright {RECIPE_LABEL}={self.identity()}",
            "CMD": '["python3"]',
        }

    def dockerfile(self) -> str:
        """Return the build file for a base image with apt."""
        install = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(self.packages)}"
        settings = "\n".join(f"{name} {value}" for name, value in self.settings().items())
        return f"FROM {BASE_IMAGE}\nRUN {install} && {FINISH}\n{settings}\n"

    def bootstrap_command(self, suite: str, sources: Sequence[str], target: str) -> list[str]:
        """Return the mmdebstrap command that writes the root file system to the tar file `target`."""
        return [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(self.packages)}",
            f'--customize-hook=chroot "$1" sh -euc {shlex.quote(FINISH)}',
            suite,
            target,
            *sources,
        ]


PYTHON = Recipe("stagewright/python", PACKAGES, "Python, pip, venv, pytest, git, ripgrep")
# Everything of the Python image too: a repository in both languages needs no third one.
NODE = Recipe("stagewright/node", (*PACKAGES, "nodejs", "npm"), "Node, npm, Python, pip, venv, pytest, git, ripgrep")
RECIPES = {"python": PYTHON, "node": NODE}
OWN_IMAGES = {recipe.name: short for short, recipe in RECIPES.items()}


def how_to_get(image: str) -> str:
    """Return the command that brings an image which is not here."""
    plain = image.removesuffix(":latest")
    if plain not in OWN_IMAGES:
        return f"docker pull {image}"
    return "stagewright sandbox build" if plain == PYTHON.name else f"stagewright sandbox build {OWN_IMAGES[plain]}"
