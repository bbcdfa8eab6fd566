"""Azure OpenAI: OpenAI's models under the deployment names of your own resource, through its v1 endpoint."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.surface import Capabilities
from pipeline.vendors import openai
from pipeline.vendors.compatible import APIS, first_set, with_v1

_ADDRESSES = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL", "AZURE_API_BASE")
_PATH = "/openai/v1"


def capabilities(model: str) -> Capabilities | None:
    """Return the row of the model that a deployment is named after."""
    return openai.capabilities(model)


def address(environ: Mapping[str, str]) -> str | None:
    """Return the v1 endpoint of the resource that the environment names."""
    found = with_v1(first_set(environ, _ADDRESSES), _PATH)
    return f"{found.rstrip('/')}/v1" if found and found.rstrip("/").endswith("/openai") else found


SURFACE = replace(
    openai.SURFACE,
    name="azure",
    adapter="pipeline.vendors.azure.adapter",
    key_variables=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    price_provider="azure",
    models=(),
    capabilities=capabilities,
    default_base_url=None,
    apis=APIS,
    vouches=True,
    address_variables=_ADDRESSES,
    address=address,
    tools="either",
)
