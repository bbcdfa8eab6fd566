"""A `git` in front of the real one that writes down each call: its words, its variables and its input."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SHIM = """#!/bin/sh
call="{folder}/calls/$(date +%s%N).$$"
mkdir "$call"
printf '%s\\0' "$@" > "$call/words"
env -0 > "$call/variables"
case " $* " in
  *" index-pack "* | *" --stdin"* | *" --batch"* | *" pack-objects "* | *" commit-tree "* | *" update-index "*)
    cat > "$call/input"; exec {git} "$@" < "$call/input" ;;
esac
exec {git} "$@"
"""


@dataclass(frozen=True)
class Call:
    """One call of git, without the fixed `-c` settings. `index` says that it had an index of its own."""

    words: tuple[str, ...]
    stdin: bytes
    variables: Mapping[str, str]

    @property
    def command(self) -> str:
        return self.words[0]


def install(folder: Path) -> str:
    """Put the recording git into a folder and return a PATH that finds it first."""
    real = shutil.which("git")
    assert real
    (folder / "calls").mkdir(parents=True)
    shim = folder / "git"
    shim.write_text(_SHIM.format(folder=folder, git=real))
    shim.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def calls(folder: Path) -> list[Call]:
    """Return what was recorded, in its order."""
    return [_call(call) for call in sorted((folder / "calls").iterdir())]


def _call(folder: Path) -> Call:
    words = (folder / "words").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    while words[:1] == ["-c"]:
        words = words[2:]
    pairs = (entry.split("=", 1) for entry in (folder / "variables").read_text(errors="surrogateescape").split("\0"))
    variables = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    given = folder / "input"
    return Call(tuple(words), given.read_bytes() if given.exists() else b"", variables)
