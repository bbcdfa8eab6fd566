"""Reads what building a Dockerfile would fetch: images, and files of other hosts."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::(?P<rule>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))")
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git@|github\.com/")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something a line asks for: an image (for a platform, where one is named), or the source of an `ADD`."""

    name: str
    line: int
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Fetches:
    """Everything a build would fetch, unless it is here already."""

    images: tuple[Wanted, ...]
    remote_files: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class _Instruction:
    line: int
    word: str
    flags: Mapping[str, str]
    rest: str


def fetches(text: str, arguments: Mapping[str, str]) -> Fetches:
    """Return what a Dockerfile fetches when built with `arguments` (`--build-arg`).

    :raises ValueError: there is no FROM, or one that names nothing.
    """
    images: list[Wanted] = []
    remote: list[Wanted] = []
    stages: set[str] = set()
    values: dict[str, str] = {}
    begun = False
    for one in _instructions(text):
        match one.word:
            case "ARG" if not begun:
                name, _, default = one.rest.partition("=")
                values[name.strip()] = arguments.get(name.strip(), _filled(default.strip().strip("\"'"), values))
            case "FROM":
                begun = True
                _start(one, values, stages, images)
            case "COPY":
                source = one.flags.get("from", "")
                if source and not source.isdecimal() and source.lower() not in stages:
                    images.append(Wanted(source, one.line))
            case "ADD":
                # A variable may stand for an address, and it is filled in only while the image is built.
                remote += [Wanted(name, one.line) for name in _sources(one.rest) if REMOTE.match(name) or "$" in name]
            case _:
                continue
    if not begun:
        raise ValueError("it has no FROM line")
    return Fetches(tuple(images), tuple(remote))


def _start(one: _Instruction, values: Mapping[str, str], stages: set[str], images: list[Wanted]) -> None:
    words = one.rest.split()
    name = _filled(words[0], values) if words else ""
    if not name:
        raise ValueError(f"line {one.line}: FROM {one.rest} names no image; give the ARG in it a value")
    if name.lower() not in stages and name != "scratch":
        images.append(Wanted(name, one.line, _filled(one.flags.get("platform", ""), values)))
    if len(words) == 3 and words[1].upper() == "AS":
        stages.add(words[2].lower())


def _instructions(text: str) -> Iterator[_Instruction]:
    escape = "`" if re.match(r"\s*#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    first, parts = 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        first = first or number
        goes_on = stripped.endswith(escape)
        parts.append(stripped.removesuffix(escape).strip())
        if not goes_on:
            yield _instruction(first, " ".join(parts))
            first, parts = 0, []
    if parts:
        yield _instruction(first, " ".join(parts))


def _instruction(line: int, text: str) -> _Instruction:
    word, _, rest = text.partition(" ")
    flags = {}
    while found := re.match(r"\s*--([\w-]+)(?:=(\S*))?\s*", rest):
        flags[found[1].lower()] = found[2] or ""
        rest = rest[found.end() :]
    return _Instruction(line, word.upper(), flags, rest.strip())


def _sources(rest: str) -> Sequence[str]:
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except ValueError:
            words = None
        if isinstance(words, list):
            return [str(word) for word in words[:-1]]
    return rest.split()[:-1]


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        known = values.get(found["braced"] or found["plain"], "")
        if found["rule"] == "-":
            return known or str(found["word"])
        return str(found["word"]) if found["rule"] == "+" and known else known if found["rule"] is None else ""

    return VARIABLE.sub(value, text)
