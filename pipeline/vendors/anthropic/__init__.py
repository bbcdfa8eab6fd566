"""Anthropic's models and what each takes; nothing here imports the SDK."""

import re

from pipeline.surface import Capabilities, Surface
from stages.model import Effort

_ALL: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
_NO_XHIGH: tuple[Effort, ...] = ("low", "medium", "high", "max")
_OFF: tuple[Effort, ...] = ("none",)


def _row(
    efforts: tuple[Effort, ...],
    default: Effort | None,
    *,
    output: int = 128_000,
    context: int = 1_000_000,
    retired: tuple[str, str] | None = None,
) -> Capabilities:
    """Return a row; no model of this API version takes a temperature. `retired` is (date, replacement)."""
    date, replacement = retired or (None, None)
    return Capabilities(efforts, default, False, output, context, True, date, replacement)


_MODELS: dict[str, Capabilities] = {
    # Thinking cannot be switched off on these: no `none`.
    "claude-fable-5-2": _row(_ALL, "high"),
    "claude-fable-5-1": _row(_ALL, "high"),
    "claude-fable-5": _row(_ALL, "high"),
    "claude-mythos-5-2": _row(_ALL, "high"),
    "claude-opus-5-5": _row(_ALL, "medium"),
    "claude-opus-5": _row(_OFF + _ALL, "high"),
    "claude-sonnet-5-5": _row(_OFF + _ALL, "high"),
    "claude-sonnet-5": _row(_OFF + _ALL, "high"),
    "claude-haiku-5-5": _row(_OFF + _ALL, "medium"),
    "claude-opus-4-8": _row(_OFF + _ALL, "high"),
    "claude-opus-4-7": _row(_OFF + _ALL, "high"),
    "claude-opus-4-6": _row(_OFF + _NO_XHIGH, "high"),
    "claude-sonnet-4-6": _row(_OFF + _NO_XHIGH, "high"),
    # Before adaptive thinking: the effort, where there is one, steers only the length.
    "claude-opus-4-5": _row(("low", "medium", "high"), "high", output=64_000, context=200_000),
    "claude-haiku-4-5": _row((), None, output=64_000, context=200_000),
    "claude-sonnet-4-5": _row((), None, output=64_000, context=200_000, retired=("2026-11-30", "claude-sonnet-5-5")),
    "claude-opus-4-0": _row((), None, output=32_000, context=200_000, retired=("2026-06-15", "claude-opus-5-5")),
    "claude-sonnet-4-0": _row((), None, output=64_000, context=200_000, retired=("2026-06-15", "claude-sonnet-5-5")),
}
_WITHOUT_ADAPTIVE_THINKING = frozenset(
    {"claude-opus-4-5", "claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-0", "claude-sonnet-4-0"}
)
_SNAPSHOT = re.compile(r"[-@]\d{8}$")


def capabilities(model: str) -> Capabilities | None:
    """Return a model's row; a dated snapshot has the row of its model."""
    return _MODELS.get(_SNAPSHOT.sub("", model))


def thinks(model: str) -> bool:
    """Say whether a model has adaptive thinking; one we do not know is newer than this table, so it has."""
    return _SNAPSHOT.sub("", model) not in _WITHOUT_ADAPTIVE_THINKING


SURFACE = Surface(
    name="anthropic",
    adapter="pipeline.vendors.anthropic.adapter",
    key_variables=("ANTHROPIC_API_KEY",),
    price_provider="anthropic",
    models=tuple(_MODELS),
    capabilities=capabilities,
    vendor_row=_row(_ALL, "high"),
    default_base_url="https://api.anthropic.com",
    schema="strict",
    caching="markers",
    streaming=True,
)
