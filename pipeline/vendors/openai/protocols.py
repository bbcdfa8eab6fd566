"""Connect to OpenAI by the protocol the user chose: Responses unless the entry says otherwise."""

from pipeline.surface import Binding
from pipeline.vendors.compatible.choice import chosen
from pipeline.vendors.compatible.dialect import OPENAI
from pipeline.vendors.openai import SURFACE
from stages.model import Model


def connect(binding: Binding) -> Model:
    """Return the model; no network yet."""
    return chosen(binding, binding.base_url or SURFACE.default_base_url, binding.api or "responses", OPENAI)
