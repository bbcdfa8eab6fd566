"""OpenAI's models and what each takes; nothing here imports the SDK."""

import re

from pipeline.surface import Capabilities, Surface
from stages.model import Effort

_NONE_TO_MAX: tuple[Effort, ...] = ("none", "low", "medium", "high", "xhigh", "max")
_NONE_TO_XHIGH: tuple[Effort, ...] = ("none", "low", "medium", "high", "xhigh")
_GPT_5: tuple[Effort, ...] = ("minimal", "low", "medium", "high")
_THREE: tuple[Effort, ...] = ("low", "medium", "high")


def _row(
    efforts: tuple[Effort, ...],
    default: Effort | None,
    *,
    output: int = 128_000,
    context: int = 922_000,
    retired: tuple[str, str] | None = None,
) -> Capabilities:
    """Return a row; models that reason take no temperature. `retired` is (date, replacement)."""
    date, replacement = retired or (None, None)
    return Capabilities(efforts, default, not efforts, output, context, True, date, replacement)


_MODELS: dict[str, Capabilities] = {
    "gpt-6-astra": _row(("low", "medium", "high", "xhigh", "max"), "medium"),
    "gpt-6.1-sol": _row(_NONE_TO_MAX, "medium"),
    "gpt-6.1-terra": _row(_NONE_TO_MAX, "medium"),
    "gpt-6-sol": _row(_NONE_TO_MAX, "medium"),
    "gpt-6-luna": _row(_NONE_TO_MAX, "medium"),
    "gpt-5.6": _row(_NONE_TO_MAX, "medium"),
    "gpt-5.6-sol": _row(_NONE_TO_MAX, "medium"),
    "gpt-5.6-terra": _row(_NONE_TO_MAX, "medium"),
    "gpt-5.6-luna": _row(_NONE_TO_MAX, "medium"),
    "gpt-5.5": _row(_NONE_TO_XHIGH, "medium", context=872_000),
    "gpt-5.4": _row(_NONE_TO_XHIGH, "none"),
    "gpt-5.4-mini": _row(_NONE_TO_XHIGH, "none", context=272_000),
    "gpt-5.4-nano": _row(_NONE_TO_XHIGH, "none", context=272_000, retired=("2027-04-01", "gpt-6-luna")),
    "gpt-5.3-codex": _row(
        ("low", "medium", "high", "xhigh"), "medium", context=272_000, retired=("2027-04-01", "gpt-6.1-sol")
    ),
    "gpt-5.2": _row(_NONE_TO_XHIGH, "none", context=272_000),
    "gpt-5.1": _row(("none", *_THREE), "none", context=272_000, retired=("2027-04-01", "gpt-6.1-sol")),
    "gpt-5": _row(_GPT_5, "medium", context=272_000, retired=("2026-12-11", "gpt-5.6-sol")),
    "gpt-5-mini": _row(_GPT_5, "medium", context=272_000, retired=("2026-12-11", "gpt-5.6-terra")),
    "gpt-5-nano": _row(_GPT_5, "medium", context=272_000, retired=("2026-12-11", "gpt-5.6-luna")),
    "o3": _row(_THREE, "medium", output=100_000, context=100_000, retired=("2026-12-11", "gpt-5.6-sol")),
    "gpt-4.1": _row((), None, output=32_768, context=1_000_000, retired=("2027-01-14", "gpt-6-luna")),
    "gpt-4.1-mini": _row((), None, output=32_768, context=1_000_000, retired=("2027-01-14", "gpt-6-luna")),
}
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def capabilities(model: str) -> Capabilities | None:
    """Return a model's row; a dated snapshot has the row of its model."""
    return _MODELS.get(_SNAPSHOT.sub("", model))


def reasons(model: str) -> bool:
    """Say whether a model reasons; one we do not know is newer than this table, so it does."""
    row = capabilities(model)
    return row is None or bool(row.efforts)


SURFACE = Surface(
    name="openai",
    adapter="pipeline.vendors.openai.protocols",
    key_variables=("OPENAI_API_KEY",),
    price_provider="openai",
    models=tuple(_MODELS),
    capabilities=capabilities,
    vendor_row=_row(_NONE_TO_MAX, "medium"),
    default_base_url="https://api.openai.com/v1",
    apis=("responses", "chat", "auto"),
    schema="strict",
    caching="automatic",
    streaming=True,
)
