"""Takes from a devcontainer.json what is safe to take, and names the rest."""

import re
import shlex
from posixpath import dirname, join
from typing import Any

from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.dockerfile import Dockerfile, inside
from pipeline.environments.json_with_comments import read_json
from stages.artifacts import Frozen

PLACES = (".devcontainer/devcontainer.json", ".devcontainer.json")
NESTED = re.compile(r"\.devcontainer/[^/]+/devcontainer\.json")
TAKEN = {"image", "build", "dockerFile", "context", "containerEnv", "postCreateCommand"}
TAKEN_OF_BUILD = {"dockerfile", "context", "args", "target"}
# They say nothing about what runs in the container.
HARMLESS = {"$schema", "name", "customizations", "forwardPorts", "portsAttributes", "otherPortsAttributes"}
FOLDERS = ("${containerWorkspaceFolder}", "/workspace")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Devcontainer(Frozen):
    """The safe part: exactly one of `image` and `dockerfile`, variables, and commands to run after it was made."""

    path: str
    image: str | None = None
    dockerfile: Dockerfile | None = None
    variables: dict[str, str] = {}
    commands: tuple[str, ...] = ()


def read_devcontainer(files: CommitFiles) -> tuple[Devcontainer | None, tuple[str, ...]]:
    """Return the safe part of the repository's devcontainer.json, and notes on what was left out.

    None when there is no such file, it cannot be read, or it names neither an image nor a build.
    """
    path, notes = _place(files)
    if path is None:
        return None, tuple(notes)
    try:
        document = read_json(files.text(path) or "")
    except ValueError as error:
        return None, (f"{path} is ignored: {error}",)
    if not isinstance(document, dict):
        return None, (f"{path} is ignored: it is no mapping",)
    ignored = sorted(set(document) - TAKEN - HARMLESS)
    if ignored:
        notes.append(f"{path}: ignored, for safety or because it is not supported: {', '.join(ignored)}")
    dockerfile = _build(document, path, notes)
    image = document.get("image") if dockerfile is None else None
    if dockerfile is None and not (isinstance(image, str) and _is_plain(image)):
        return None, (*notes, f"{path} names neither an image nor a build that can be used, so it decides nothing")
    container = Devcontainer(
        path=path,
        image=image,
        dockerfile=dockerfile,
        variables=_texts(document.get("containerEnv"), f"{path}: containerEnv", notes),
        commands=_commands(document.get("postCreateCommand"), path, notes),
    )
    return container, tuple(notes)


def _place(files: CommitFiles) -> tuple[str | None, list[str]]:
    nested = sorted(path for path in files.entries if NESTED.fullmatch(path))
    first = next((path for path in PLACES if path in files.entries), None)
    if first is None and len(nested) > 1:
        return None, [f"{', '.join(nested)} are ignored: there are several; name the image at sandbox.image"]
    return first or next(iter(nested), None), []


def _build(document: dict[str, Any], path: str, notes: list[str]) -> Dockerfile | None:
    build = document.get("build")
    fields = build if isinstance(build, dict) else {}
    named = fields.get("dockerfile", document.get("dockerFile"))
    if not isinstance(named, str):
        return None
    ignored = sorted(set(fields) - TAKEN_OF_BUILD)
    if ignored:
        notes.append(f"{path}: ignored of `build`: {', '.join(ignored)}")
    context = fields.get("context", document.get("context", "."))
    file = inside(join(dirname(path), named))
    folder = inside(join(dirname(path), context)) if isinstance(context, str) else None
    if not file or folder is None:
        notes.append(f"{path}: ignored, because it leads out of the repository: build")
        return None
    target = fields.get("target", "")
    return Dockerfile(
        path=file,
        context=folder,
        arguments=_texts(fields.get("args"), f"{path}: build.args", notes),
        target=target if isinstance(target, str) else "",
    )


def _texts(value: Any, where: str, notes: list[str]) -> dict[str, str]:
    """Return the plain entries; one that asks for something of the host, or for code to be loaded, is left out."""
    entries = value if isinstance(value, dict) else {}
    kept = {}
    for name, text in entries.items():
        filled = text.replace(*FOLDERS) if isinstance(text, str) else "${"
        if VARIABLE.fullmatch(name) and not name.startswith("LD_") and _is_plain(filled):
            kept[name] = filled
    left_out = sorted(set(entries) - set(kept))
    if left_out:
        notes.append(f"{where}: ignored, because only plain texts are taken: {', '.join(left_out)}")
    return kept


def _is_plain(text: str) -> bool:
    return text.isprintable() and "${" not in text


def _commands(value: Any, path: str, notes: list[str]) -> tuple[str, ...]:
    """Return the commands in their order; the named ones of a mapping run one after another."""
    if value is None or value == "":
        return ()
    parts = list(value.values()) if isinstance(value, dict) else [value]
    commands = [_command(part) for part in parts]
    if None in commands:
        notes.append(f"{path}: ignored, because it is no command: postCreateCommand")
        return ()
    return tuple(command for command in commands if command)


def _command(value: Any) -> str | None:
    if isinstance(value, str):
        return value.replace(*FOLDERS)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return shlex.join(word.replace(*FOLDERS) for word in value)
    return None
