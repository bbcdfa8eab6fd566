"""Prices: exact, the user's own first, and never above the ceiling that is reserved."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as CatalogueUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.settings import Limits, ModelDeclaration, Price, Rung, Settings, StageSettings, VendorSettings
from pipeline.loader import surface
from pipeline.metering.prices import Pricing, catalogue_knows, catalogue_models, pricing
from stages.model import Usage

AT = datetime(2026, 11, 20, tzinfo=UTC)
OWN = Price(input=Decimal(4), output=Decimal(20))


def settings(
    models: dict[str, ModelDeclaration] | None = None, vendors: dict[str, VendorSettings] | None = None
) -> Settings:
    rung = Rung(vendor="anthropic", model="claude-opus-5-5", timeout=60, max_output_tokens=100)
    return Settings(
        limits=Limits(tokens=1000, wall_clock=60),
        planner=StageSettings(name="planner", rungs=(rung,), retry_budget=0),
        coder=StageSettings(name="coder", rungs=(rung,), retry_budget=0),
        debugger=None,
        reviewer=None,
        checks=(),
        models=models or {},
        vendors=vendors or {},
    )


def known(vendor: str, model: str, given_settings: Settings | None = None) -> Pricing:
    found = pricing(vendor, model, given_settings or settings(), at=AT)
    assert found is not None
    return found


usages = st.builds(
    lambda fresh, read, write, output: Usage(fresh + read + write, read, write, output),
    *[st.integers(0, 400_000)] * 4,
)
MODELS = [
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-opus-5-5"),
    ("openai", "gpt-6-astra"),
    ("openai", "gpt-6.1-sol"),
    ("google", "gemini-3.8-flash"),
    ("google", "gemini-2.5-pro"),
]


@pytest.mark.parametrize(("vendor", "model"), MODELS)
@hypothesis_settings(deadline=None)  # the first example loads the catalogue
@given(usage=usages)
def test_a_cost_is_what_the_catalogue_itself_works_out(vendor: str, model: str, usage: Usage) -> None:
    if vendor == "google":  # it has no price for writing, and its API reports none
        usage = Usage(usage.input, usage.cache_read, 0, usage.output)
    theirs = calc_price(
        CatalogueUsage(
            input_tokens=usage.input,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            output_tokens=usage.output,
        ),
        model,
        provider_id=vendor,
        genai_request_timestamp=AT,
    )
    assert known(vendor, model).cost(usage) == theirs.total_price


@pytest.mark.parametrize(("vendor", "model"), MODELS)
@given(usage=usages, more_input=st.integers(0, 300_000), more_output=st.integers(0, 100_000))
@hypothesis_settings(deadline=None)
def test_no_call_costs_more_than_the_ceiling_of_what_was_reserved(
    vendor: str, model: str, usage: Usage, more_input: int, more_output: int
) -> None:
    price = known(vendor, model)
    assert price.cost(usage) <= price.ceiling(usage.input + more_input, usage.output + more_output)


def test_a_price_that_changes_with_the_year_is_the_one_of_the_day() -> None:
    then = pricing("google", "gemini-3.8-flash", settings(), at=datetime(2027, 1, 2, tzinfo=UTC))
    assert then is not None
    assert then.input.base == 2 * known("google", "gemini-3.8-flash").input.base


def test_a_declared_price_wins_over_the_vendors_and_both_over_the_catalogue() -> None:
    vendor = VendorSettings(
        name="anthropic",
        prices={"claude-opus-5-5": Price(input=Decimal(7), output=Decimal(8)), "*": OWN},
    )
    declared = {"opus": ModelDeclaration(id="claude-opus-5-5", prices=Price(input=Decimal(1), output=Decimal(2)))}
    both = settings(declared, {"anthropic": vendor})
    assert known("anthropic", "claude-opus-5-5", both).input.base == 1
    entry = settings(vendors={"anthropic": vendor})
    assert known("anthropic", "claude-opus-5-5", entry).input.base == 7
    assert known("anthropic", "claude-sonnet-5-5", entry).input.base == 4
    assert known("anthropic", "claude-sonnet-5-5").input.base == 2


def test_a_declared_model_without_prices_costs_what_the_model_it_is_like_costs() -> None:
    declared = {"next": ModelDeclaration(id="claude-next", like="claude-opus-5-5")}
    assert known("anthropic", "claude-next", settings(declared)) == known("anthropic", "claude-opus-5-5")


def test_cached_input_costs_the_full_price_where_the_user_names_no_other() -> None:
    prices = known("scripted", "x", settings(vendors={"scripted": VendorSettings(name="scripted", prices={"*": OWN})}))
    assert prices.cost(Usage(input=1_000_000, cache_read=900_000, output=500_000)) == Decimal(14)


@pytest.mark.parametrize(
    ("vendor", "model"), [("scripted", "anything"), ("openai", "gpt-99"), ("no-such-vendor", "claude-opus-5-5")]
)
def test_an_unknown_price_is_none_and_not_zero(vendor: str, model: str) -> None:
    assert pricing(vendor, model, settings(), at=AT) is None


def test_the_record_for_the_ledger_has_every_rate_and_tier() -> None:
    assert known("openai", "gpt-6-astra").record() == {
        "source": "catalogue: openai",
        "input": "10",
        "input>272000": "20",
        "output": "50",
        "output>272000": "75",
        "cache_read": "1",
        "cache_read>272000": "2",
        "cache_write": "12.5",
        "cache_write>272000": "25",
    }


@pytest.mark.parametrize(
    ("provider", "model", "answer"),
    [
        ("anthropic", "claude-opus-5-5", True),
        ("anthropic", "claude-haiku-4-5-20251001", True),
        ("google", "gemini-3.8-flash", True),
        ("google", "gemini-flash-latest", True),
        ("google", "gemini-3.8-flashy", False),
        ("google", "claude-opus-5-5", False),
        ("openai", "gpt-6.1-soll", False),
        ("nobody", "gpt-6.1-sol", False),
    ],
)
def test_the_catalogue_knows_real_names_and_no_typing_errors(provider: str, model: str, answer: bool) -> None:  # noqa: FBT001 - a table's column
    assert catalogue_knows(provider, model) is answer


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "google"])
def test_every_model_of_a_vendors_table_has_a_price(vendor: str) -> None:
    assert [model for model in surface(vendor).models if not pricing(vendor, model, settings(), at=AT)] == []
    assert len(catalogue_models(vendor)) > 10
