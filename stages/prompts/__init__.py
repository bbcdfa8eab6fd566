"""The four stages' system prompts, one text file each."""

from importlib.resources import files

from stages.artifacts import StageName


def prompt(stage: StageName) -> str:
    """Return a stage's system prompt."""
    return files(__name__).joinpath(f"{stage}.md").read_text(encoding="utf-8")
