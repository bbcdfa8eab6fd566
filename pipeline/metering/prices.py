"""Price a call in exact USD: the user's own prices first, else the catalogue that ships with us (no network).

Importing the catalogue takes a fifth of a second, so only what prices something imports this module.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from pipeline.config.settings import Price, Settings
from pipeline.loader import UnknownVendorError, surface
from pipeline.metering.quota import quota
from stages.model import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rate:
    """USD per million tokens; each step is (prompt tokens above which it holds, USD) for all tokens of a call."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, prompt: int) -> Decimal:
        """Return the rate of a call with so many prompt tokens."""
        return next((rate for above, rate in reversed(self.steps) if prompt > above), self.base)

    def dearest(self, prompt: int) -> Decimal:
        """Return the highest rate of any call with at most so many prompt tokens."""
        return max([self.base, *(rate for above, rate in self.steps if prompt > above)])


@dataclass(frozen=True, slots=True)
class Pricing:
    """What one model costs. `source` says where the rates are from."""

    input: Rate
    output: Rate
    cache_read: Rate
    cache_write: Rate
    source: str

    def cost(self, usage: Usage) -> Decimal:
        """Return what a call costs, in USD, exact."""
        fresh = max(0, usage.input - usage.cache_read - usage.cache_write)
        prompt = usage.input
        spent = fresh * self.input.at(prompt) + usage.output * self.output.at(prompt)
        spent += usage.cache_read * self.cache_read.at(prompt) + usage.cache_write * self.cache_write.at(prompt)
        return spent / _MILLION

    def ceiling(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return the most a call of at most so many tokens can cost, in USD: every input written to the cache."""
        kinds = (self.input, self.cache_write, self.cache_read)
        dearest = max(rate.dearest(input_tokens) for rate in kinds)
        return (input_tokens * dearest + output_tokens * self.output.dearest(input_tokens)) / _MILLION

    def record(self) -> dict[str, str]:
        """Return the rates as strings, for the ledger: USD per million tokens, long tiers as `input>200000`."""
        kinds = {"input": self.input, "output": self.output, "cache_read": self.cache_read}
        fields = {"source": self.source}
        for name, rate in (kinds | {"cache_write": self.cache_write}).items():
            fields[name] = _plain(rate.base)
            fields |= {f"{name}>{above}": _plain(step) for above, step in rate.steps}
        return fields


def pricing(vendor: str, rung_model: str, settings: Settings, *, at: datetime | None = None) -> Pricing | None:
    """Return what a vendor's model costs (at a time, now if left out), None where nobody knows.

    The user's word counts first: the prices of the model's own declaration, then those of the vendor's entry (by
    id, then `*`); then the catalogue; then whatever the model named by `like` costs. What a subscription pays for
    has no price per token.
    """
    if quota(vendor) is not None:
        return None
    declared = next((each for each in settings.models.values() if each.id == rung_model), None)
    if declared and declared.prices:
        return _own(declared.prices, f"models: {rung_model}")
    known = _of_vendor(vendor, rung_model, settings) or _of_catalogue(vendor, rung_model, at or datetime.now(UTC))
    if known or declared is None or declared.like in {None, rung_model}:
        return known
    return pricing(vendor, str(declared.like), settings, at=at)


def catalogue_knows(provider: str, model: str) -> bool:
    """Say whether the catalogue has a model of a provider; a known name with letters behind it is a typing error."""
    found = _find(provider, model)
    if found is None:
        return False
    rest = model.lower().removeprefix(found.id)
    return rest == model.lower() or not rest[:1].isalnum()


def catalogue_models(provider: str) -> tuple[str, ...]:
    """Return the ids of a provider's models that write text, in the catalogue's order."""
    return tuple(model.id for model in _models(provider))


def _of_vendor(vendor: str, model: str, settings: Settings) -> Pricing | None:
    entry = settings.vendors.get(vendor)
    prices = entry.prices if entry else {}
    for name in (model, "*"):
        if name in prices:
            return _own(prices[name], f"vendors: {vendor}: {name}")
    return None


def _own(price: Price, source: str) -> Pricing:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    return Pricing(Rate(price.input), Rate(price.output), Rate(read), Rate(write), source)


def _of_catalogue(vendor: str, model: str, at: datetime) -> Pricing | None:
    try:
        provider = surface(vendor).price_provider
    except UnknownVendorError:
        return None
    if provider is None or not catalogue_knows(provider, model):
        return None
    found = _find(provider, model)
    prices = found.get_prices(at) if found else None
    return _catalogued(prices, f"catalogue: {provider}") if prices else None


def _catalogued(prices: ModelPrice, source: str) -> Pricing | None:
    if prices.input_mtok is None or prices.output_mtok is None:
        return None
    fresh = _rate(prices.input_mtok)
    read = fresh if prices.cache_read_mtok is None else _rate(prices.cache_read_mtok)
    write = fresh if prices.cache_write_mtok is None else _rate(prices.cache_write_mtok)
    return Pricing(fresh, _rate(prices.output_mtok), read, write, source)


def _rate(price: Decimal | TieredPrices) -> Rate:
    if isinstance(price, TieredPrices):
        return Rate(price.base, tuple((tier.start, tier.price) for tier in price.tiers))
    return Rate(price)


def _find(provider: str, model: str) -> ModelInfo | None:
    ref = model.lower().removeprefix("models/")
    return next((each for each in _models(provider) if each.is_match(ref)), None)


def _models(provider: str) -> Iterator[ModelInfo]:
    """Yield a provider's own models: Google's list also names Anthropic's, which its Gemini API does not serve."""
    for each in _providers():
        if each.id == provider:
            yield from (model for model in each.models if provider != "google" or not model.id.startswith("claude-"))


def _providers() -> list[Provider]:
    return data_snapshot.get_snapshot().providers


def _plain(rate: Decimal) -> str:
    return format(rate.normalize(), "f")
