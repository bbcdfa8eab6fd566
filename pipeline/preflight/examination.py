"""Examines a machine: what of it a run needs is there, and what to type for what is not."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from pipeline import loader
from sandbox.base import SandboxUnavailableError
from sandbox.engine import engine_problem, this_endpoint
from sandbox.image import DEFAULT_IMAGE, image_id
from sandbox.recipe import RECIPES, Recipe

OLDEST_GIT = (2, 30)
GIT_SECONDS = 10
BUILD = "stagewright sandbox build"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined. `good` is None where it is neither needed nor harmful that it is missing."""

    name: str
    good: bool | None
    text: str
    hint: str = ""


async def examine(environ: Mapping[str, str], state: Path) -> list[Finding]:
    """Return every finding; no key's value is in any of them."""
    return [
        _python(),
        await to_thread.run_sync(_git),
        *await _docker(),
        *_keys(environ),
        *_programs(environ),
        _state(state),
    ]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("python", good, platform.python_version(), "" if good else "install Python 3.11 or newer")


def _git() -> Finding:
    install = "install it, as with `apt-get install git`"
    path = shutil.which("git")
    if path is None:
        return Finding("git", good=False, text="there is no git", hint=install)
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("git", good=False, text=f"{path} does not work: {error}", hint=install)
    version = answer.stdout.strip().removeprefix("git version ").split(" ")[0]
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    oldest = ".".join(map(str, OLDEST_GIT))
    return Finding(
        "git", numbers >= OLDEST_GIT, version, "" if numbers >= OLDEST_GIT else f"{oldest} or newer is needed"
    )


async def _docker() -> list[Finding]:
    silent = await engine_problem()
    if silent is not None:
        unknown = Finding("image", good=None, text=f"{DEFAULT_IMAGE} could not be looked for")
        return [Finding("docker", good=False, text=silent), unknown]
    endpoint = this_endpoint()
    answers = Finding("docker", good=True, text=f"answers at {endpoint.url} ({endpoint.why})")
    try:
        return [answers, *[await _image(recipe, short) for short, recipe in RECIPES.items()]]
    except SandboxUnavailableError as error:
        return [Finding("docker", good=False, text=str(error))]


async def _image(recipe: Recipe, short: str) -> Finding:
    """Ask for one of our images; only the default one is needed by everybody."""
    if await image_id(recipe.name) is not None:
        return Finding("image", good=True, text=recipe.name)
    if recipe.name == DEFAULT_IMAGE:
        return Finding("image", good=False, text=f"{recipe.name} is not there", hint=f"type `{BUILD}`")
    return Finding("image", good=None, text=f"{recipe.name} is not there", hint=f"to use it, type `{BUILD} {short}`")


def _keys(environ: Mapping[str, str]) -> list[Finding]:
    findings = []
    for name in loader.surface_names():
        surface = loader.surface(name)
        variables = surface.key_variables
        holder = next((variable for variable in variables if environ.get(variable, "").strip()), None)
        if variables and holder:
            findings.append(Finding("key", good=True, text=f"{name}: {holder} is set"))
        elif variables and not surface.key_optional:
            text = f"{name}: {' or '.join(variables)} is not set"
            findings.append(Finding("key", good=None, text=text, hint=f"to use it, type `export {variables[0]}=...`"))
    return findings


def _programs(environ: Mapping[str, str]) -> list[Finding]:
    """Say which programs of subscription vendors are here; their versions and logins are `check`'s to judge."""
    findings = []
    for name in loader.surface_names():
        program = loader.surface(name).program
        path = shutil.which(program.name, path=environ.get("PATH")) if program else None
        if program and path:
            findings.append(Finding("program", good=True, text=f"{name}: {path}"))
        elif program:
            text, hint = f"{name}: there is no `{program.name}`", f"to use it, type `{program.install}`"
            findings.append(Finding("program", good=None, text=text, hint=hint))
    return findings


def _state(folder: Path) -> Finding:
    """Ask whether the folder can be written to; it is not made."""
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    good = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    text = str(folder) if good else f"{folder} cannot be written to"
    return Finding("state", good, text, "" if good else "name another folder with --state-dir")
