"""Connect to an OpenAI-compatible server: chat completions unless the entry says otherwise."""

from pipeline.surface import Binding
from pipeline.vendors.compatible.choice import chosen
from pipeline.vendors.compatible.dialect import COMPATIBLE
from stages.model import Model


def connect(binding: Binding) -> Model:
    """Return the model; no network yet."""
    return chosen(binding, binding.base_url, binding.api or "auto", COMPATIBLE)
