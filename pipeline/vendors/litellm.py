"""LiteLLM's proxy: a gateway to other vendors' models under names of your own."""

from pipeline.vendors.compatible import preset

SURFACE = preset(
    "litellm",
    key_variables=("LITELLM_PROXY_API_KEY", "LITELLM_API_KEY", "LITELLM_MASTER_KEY"),
    address_variables=("LITELLM_PROXY_API_BASE", "LITELLM_PROXY_BASE_URL", "LITELLM_API_BASE", "LITELLM_BASE_URL"),
    default_base_url="http://127.0.0.1:4000/v1",
)
