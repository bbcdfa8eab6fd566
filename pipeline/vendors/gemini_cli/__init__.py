"""Gemini CLI: Google's models on a Google login, through the program `gemini`."""

from dataclasses import replace

from pipeline.surface import Capabilities, Program, Surface
from pipeline.vendors import google
from pipeline.vendors.gemini_cli.login import LOGIN_HINT, TOKEN_VARIABLE, login_problem

# The program asks for other models than these under their names, so that nobody would know what was used.
_REROUTED = frozenset({"gemini-3.5-flash", "gemini-3.1-pro-preview", "gemini-3-flash-preview"})


def capabilities(model: str) -> Capabilities | None:
    """Return what a model takes through the program; those it replaces by others are not offered."""
    row = google.capabilities(model)
    return replace(row, counting=False) if row and model.removeprefix("models/") not in _REROUTED else None


SURFACE = Surface(
    name="gemini-cli",
    adapter="pipeline.vendors.gemini_cli.adapter",
    key_variables=(TOKEN_VARIABLE,),
    key_optional=True,
    price_provider=None,
    models=tuple(model for model in google.SURFACE.models if capabilities(model)),
    capabilities=capabilities,
    vendor_row=replace(google.SURFACE.vendor_row, counting=False),
    tools="text",
    program=Program(
        name="gemini",
        install="npm install -g @google/gemini-cli",
        versions=((0, 61, 0), (1,)),
        login=login_problem,
        login_hint=LOGIN_HINT,
    ),
)
