"""Claude Code: Anthropic's models on a Claude subscription, through the program `claude`."""

from dataclasses import replace

from pipeline.surface import Capabilities, Program, Surface
from pipeline.vendors import anthropic
from pipeline.vendors.claude_code.login import LOGIN_HINT, TOKEN_VARIABLE, login_problem


def capabilities(model: str) -> Capabilities | None:
    """Return what a model takes through the program: it has no word for `none`, and counts nothing beforehand."""
    row = anthropic.capabilities(model)
    return _through_the_program(row) if row else None


def _through_the_program(row: Capabilities) -> Capabilities:
    return replace(row, efforts=tuple(effort for effort in row.efforts if effort != "none"), counting=False)


SURFACE = Surface(
    name="claude-code",
    adapter="pipeline.vendors.claude_code.adapter",
    key_variables=(TOKEN_VARIABLE,),
    key_optional=True,
    price_provider=None,
    models=anthropic.SURFACE.models,
    capabilities=capabilities,
    vendor_row=_through_the_program(anthropic.SURFACE.vendor_row),
    tools="text",
    program=Program(
        name="claude",
        install="npm install -g @anthropic-ai/claude-code",
        versions=((2, 1, 328), (3,)),
        login=login_problem,
        login_hint=LOGIN_HINT,
    ),
)
