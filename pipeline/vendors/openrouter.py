"""OpenRouter: hosted models of many vendors; ids such as `vendor/model`, known from the price catalogue."""

from pipeline.vendors.compatible import preset

SURFACE = preset(
    "openrouter",
    key_variables=("OPENROUTER_API_KEY",),
    address_variables=(),
    default_base_url="https://openrouter.ai/api/v1",
    key_optional=False,
    vouches=False,
    price_provider="openrouter",
)
