"""Connect to Azure OpenAI: OpenAI's protocols, with the key in a header of Azure's own."""

from pipeline.surface import Binding
from pipeline.vendors.compatible.choice import chosen
from pipeline.vendors.compatible.dialect import OPENAI
from stages.model import Model


def connect(binding: Binding) -> Model:
    """Return the model; no network yet."""
    return chosen(binding, binding.base_url, binding.api or "auto", OPENAI, key_header="api-key")
