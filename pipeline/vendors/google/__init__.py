"""Google's Gemini models and what each takes; nothing here imports the SDK."""

from pipeline.surface import Capabilities, Surface
from stages.model import Effort

_THREE: tuple[Effort, ...] = ("low", "medium", "high")
_FOUR: tuple[Effort, ...] = ("minimal", "low", "medium", "high")


def _row(
    efforts: tuple[Effort, ...],
    default: Effort | None,
    *,
    output: int = 65_536,
    temperature: bool = True,
    retired: tuple[str, str] | None = None,
) -> Capabilities:
    """Return a row; all have the same window. `retired` is (date, replacement)."""
    date, replacement = retired or (None, None)
    return Capabilities(efforts, default, temperature, output, 1_048_576, True, date, replacement)


_MODELS: dict[str, Capabilities] = {
    # Sampling parameters are ignored here, so they are no knob; more output comes only in a stream.
    "gemini-4-argon": _row(_THREE, "medium", output=32_768, temperature=False),
    "gemini-3.8-flash": _row(_THREE, "medium"),
    "gemini-3.7-flash": _row(_THREE, "medium"),
    "gemini-3.6-flash": _row(_FOUR, "medium"),
    "gemini-3.5-flash": _row(_FOUR, "medium"),
    "gemini-3.5-flash-lite": _row(_FOUR, "minimal"),
    "gemini-3.1-pro-preview": _row(_THREE, "high"),
    "gemini-3.1-flash-lite": _row(_FOUR, "minimal", retired=("2027-05-07", "gemini-3.5-flash-lite")),
    "gemini-3-flash-preview": _row(_FOUR, "high"),
    # Before thinking levels: a budget in tokens, for which there is no word here.
    "gemini-2.5-pro": _row((), None, retired=("2026-12-01", "gemini-3.8-flash")),
    "gemini-2.5-flash": _row((), None, retired=("2026-12-01", "gemini-3.5-flash-lite")),
    "gemini-2.5-flash-lite": _row((), None),
}


def capabilities(model: str) -> Capabilities | None:
    """Return a model's row."""
    return _MODELS.get(model.removeprefix("models/"))


SURFACE = Surface(
    name="google",
    adapter="pipeline.vendors.google.adapter",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    price_provider="google",
    models=tuple(_MODELS),
    capabilities=capabilities,
    vendor_row=_row(_THREE, "medium"),
    default_base_url="https://generativelanguage.googleapis.com",
    caching="automatic",
    streaming=True,
)
