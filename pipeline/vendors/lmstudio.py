"""LM Studio: models on this machine."""

from pipeline.vendors.compatible import preset

SURFACE = preset(
    "lmstudio",
    key_variables=("LM_API_TOKEN", "LM_STUDIO_API_KEY", "LMSTUDIO_API_KEY"),
    address_variables=("LM_STUDIO_API_BASE", "LMSTUDIO_BASE_URL"),
    default_base_url="http://127.0.0.1:1234/v1",
)
