"""A vendor that plays replies from a YAML file: for demos and tests. No model runs and nothing is sent."""

from pipeline.surface import Capabilities, Surface

_ROW = Capabilities(
    efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    default_effort="medium",
    temperature=True,
    max_output_tokens=128_000,
    max_input_tokens=1_000_000,
    counting=True,
)


def _capabilities(model: str) -> Capabilities | None:
    """Every model id exists: the file says which of them answer."""
    return _ROW if model else None


SURFACE = Surface(
    name="scripted",
    adapter="pipeline.vendors.scripted.adapter",
    key_variables=(),
    price_provider=None,
    models=(),
    capabilities=_capabilities,
    vendor_row=_ROW,
    caching="automatic",
)
