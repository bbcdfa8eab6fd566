"""vLLM: a model server of your own."""

from pipeline.vendors.compatible import preset

SURFACE = preset(
    "vllm",
    key_variables=("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"),
    address_variables=("VLLM_BASE_URL", "HOSTED_VLLM_API_BASE"),
    default_base_url="http://127.0.0.1:8000/v1",
)
