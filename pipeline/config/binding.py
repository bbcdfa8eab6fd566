"""What a rung binds its vendor's model to, before anything of the run is known."""

from pipeline.config.settings import Rung, Settings
from pipeline.surface import Binding


def binding_of(settings: Settings, rung: Rung, *, api_key: str | None, cache_key: str = "") -> Binding:
    """Return the binding of a rung; calls with the same `cache_key` share a beginning."""
    vendor = settings.vendors.get(rung.vendor)
    return Binding(
        model=rung.model,
        like=rung.like or rung.model,
        effort=rung.effort,
        temperature=rung.temperature,
        base_url=vendor.base_url if vendor else None,
        api_key=api_key,
        cache_key=cache_key,
        replies=vendor.replies if vendor else None,
        api=vendor.api if vendor else None,
        command=vendor.command if vendor else None,
        stall=rung.stall,
    )
