"""Reads the vendors' keys from the environment, which is the only place they are ever taken from."""

from collections.abc import Mapping

from pipeline.config.settings import VendorSettings


def key_names(vendor: VendorSettings) -> tuple[str, ...]:
    """Return the variables that may hold a vendor's key, first set wins; empty when it needs none."""
    return (vendor.api_key_env, *vendor.other_key_envs) if vendor.api_key_env else ()


def key_required(vendor: VendorSettings) -> bool:
    """Say whether a vendor cannot be used without a key."""
    return bool(key_names(vendor)) and not vendor.key_optional


def vendor_key(vendor: VendorSettings, environ: Mapping[str, str]) -> str | None:
    """Return a vendor's key, None when no variable of its holds one."""
    found = (environ.get(name, "").strip() for name in key_names(vendor))
    return next((key for key in found if key), None)
