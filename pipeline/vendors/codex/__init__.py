"""Codex: OpenAI's models on a ChatGPT plan, through the program `codex`."""

from dataclasses import replace

from pipeline.surface import Capabilities, Program, Surface
from pipeline.vendors import openai
from pipeline.vendors.codex.login import LOGIN_HINT, login_problem


def capabilities(model: str) -> Capabilities | None:
    """Return what a model takes through the program; those that do not reason are not served by it."""
    row = openai.capabilities(model)
    return _through_the_program(row) if row and row.efforts else None


def _through_the_program(row: Capabilities) -> Capabilities:
    return replace(row, counting=False)


SURFACE = Surface(
    name="codex",
    adapter="pipeline.vendors.codex.adapter",
    key_variables=(),
    price_provider=None,
    models=tuple(model for model in openai.SURFACE.models if capabilities(model)),
    capabilities=capabilities,
    vendor_row=_through_the_program(openai.SURFACE.vendor_row),
    tools="text",
    program=Program(
        name="codex",
        install="npm install -g @openai/codex",
        versions=((0, 169, 0), (1,)),
        login=login_problem,
        login_hint=LOGIN_HINT,
    ),
)
