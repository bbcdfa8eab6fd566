"""Looks at the programs of subscription vendors: present, of a version we know, logged in; no model is asked."""

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import anyio

from pipeline.config.load import Loaded
from pipeline.loader import surface
from pipeline.problem import Code, Position, Problem, problem
from pipeline.surface import Program
from pipeline.vendors._environment import scrubbed
from pipeline.vendors._private_place import places, private_place
from pipeline.vendors._process import Command, FloodError, Listener, NotRunnableError, run

VERSION_SECONDS = 30.0  # a cold start of the slowest of them takes three
_VERSION = re.compile(r"\b(\d+)\.(\d+)\.(\d+)\b")


async def look_at_programs(loaded: Loaded, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return what is wrong with the programs of the vendors in use, all at once."""
    found: dict[str, tuple[Code, str, str]] = {}

    async def look(vendor: str, program: Program) -> None:
        wrong = await _program_problem(vendor, program, loaded.partial.vendors[vendor].command, environ)
        if wrong is not None:
            found[vendor] = wrong

    async with anyio.create_task_group() as group:
        for vendor in loaded.partial.users:
            settings = loaded.partial.vendors[vendor]
            program = surface(settings.surface or vendor).program
            if program is not None:
                group.start_soon(look, vendor, program)
    return tuple(
        problem(code, message, hint, at=loaded.positions.get(key) or Position(path=loaded.path), key=key)
        for vendor, key in loaded.partial.users.items()
        for code, message, hint in ([found[vendor]] if vendor in found else [])
    )


async def _program_problem(
    vendor: str, program: Program, command: str | None, environ: Mapping[str, str]
) -> tuple[Code, str, str] | None:
    name = command or program.name
    path = _found(name, environ)
    if path is None:
        hint = f"type `{program.install}`, or name it with vendors.{vendor}.command"
        return "SW412", f"there is no program `{name}`, which {vendor} needs", hint
    said = await _version(path, environ)
    version = _VERSION.search(said)
    oldest, unknown = program.versions
    wanted = f"{_dotted(oldest)} or newer, below {_dotted(unknown)}"
    if version is None:
        return "SW413", f"`{path} --version` says no version but {said[:100]!r}", f"install {wanted}"
    numbers = tuple(int(part) for part in version.groups())
    if not oldest <= numbers < unknown:
        message = f"{path} is {version[0]}, and {vendor} is known to work with {wanted}"
        return "SW413", message, f"type `{program.install}@{_dotted(oldest)}`"
    wrong = program.login(environ, time.time())
    return ("SW414", f"{vendor} is not logged in: {wrong}", program.login_hint) if wrong else None


def _found(name: str, environ: Mapping[str, str]) -> str | None:
    path = shutil.which(name, path=environ.get("PATH"))
    return str(Path(path).absolute()) if path else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


async def _version(path: str, environ: Mapping[str, str]) -> str:
    """Ask a program for its version, in a place of its own so that it leaves nothing in the user's."""
    lines: list[str] = []

    def said(line: str) -> bool:
        lines.append(line)
        return False

    with private_place(places(environ)) as place:
        command = Command((path, "--version"), scrubbed(environ, place, None), place.work)
        try:
            await run(command, Listener(said, lambda _line: False), seconds=VERSION_SECONDS)
        except (NotRunnableError, FloodError) as error:
            return str(error)
        except TimeoutError:
            return f"nothing in {VERSION_SECONDS:.0f} s"
    return "\n".join(lines)
