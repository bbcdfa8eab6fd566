"""The system text of a stage: our prompt, and what the repository's owner adds to it."""

import hashlib

from pipeline.config.settings import Settings
from stages.artifacts import STAGES, StageName
from stages.prompts import prompt


def system_text(settings: Settings, stage: StageName) -> str:
    """Return what a stage is told before anything else."""
    entry = settings.stage(stage)
    instructions = entry.instructions if entry else ""
    text = prompt(stage)
    return f"{text}\n\n# Instructions of this repository's owner\n\n{instructions}\n" if instructions else text


def system_hashes(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of each configured stage's system text."""
    names = [name for name in STAGES if settings.stage(name) is not None]
    return {name: hashlib.sha256(system_text(settings, name).encode()).hexdigest() for name in names}
