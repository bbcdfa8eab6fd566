"""Run the installed command as a user does, in a world of its own: folders, environment, no keys but the test's."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.audit import Audit
from tests.e2e.project import make_repository

STAGEWRIGHT = Path(sys.executable).with_name("stagewright")


@dataclass
class World:
    """A folder with a repository, a state folder and a config outside of the repository."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        return self.folder / "shop"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "pipeline.yaml"

    @property
    def database(self) -> Path:
        return self.state / "state.sqlite"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", **self.keys, **(extra or {})}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command without waiting for it."""
        return subprocess.Popen(
            self._command(words),
            cwd=self.repository,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self._command(words),
            cwd=self.repository,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def _command(self, words: Sequence[str]) -> list[str]:
        reads_state = words[0] in ("run", "resume", "show", "runs", "report", "patch")
        return [str(STAGEWRIGHT), *words, *(["--state-dir", str(self.state)] if reads_state else [])]

    def document(self, *words: str) -> dict[str, Any]:
        """Run a command with --json and return its document."""
        done = self.run(*words, "--json")
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        assert document["exit_code"] == done.returncode, done.stderr
        if document["run_id"] is not None:
            audit = Audit(cap=document["usage"]["cap"] if words[0] == "run" else None)
            audit.hear(self.events(document["run_id"]))
        return document

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Return a run's journal as an outside program sees it."""
        return [json.loads(line) for line in self.run("show", run_id, "--events").stdout.splitlines()]

    def ticket(self) -> str:
        return str(self.repository / "discount.md")


def make_world(folder: Path) -> World:
    """Return a world with the shop's repository in it."""
    world = World(folder)
    make_repository(world.repository)
    return world


def outcomes(document: Mapping[str, Any]) -> list[str]:
    """Return every attempt as `stage #number rung R model outcome`, by stage."""
    return [
        f"{stage['stage']} #{attempt['number']} rung {attempt['rung']} {attempt['model']} {attempt['outcome']}"
        for stage in document["stages"]
        for attempt in stage["attempts"]
    ]
