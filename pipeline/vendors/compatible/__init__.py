"""OpenAI-compatible servers: any entry of `vendors:` with an address of its own, and what the presets share."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipeline.surface import Api, Capabilities, Surface
from stages.model import Effort

APIS: tuple[Api, ...] = ("responses", "chat", "auto")
_ANY: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Nobody but the server knows its models: every knob is passed on, none is set unless the user sets it, and one
# that the server refuses is an error.
ROW = Capabilities(_ANY, None, True, 128_000, 1_000_000, False)


def no_table(_model: str) -> Capabilities | None:
    """Return None: what a server's models take is not known here."""
    return None


def preset(  # noqa: PLR0913 - the row of a table, its columns by name
    name: str,
    *,
    key_variables: tuple[str, ...],
    address_variables: tuple[str, ...],
    default_base_url: str | None,
    key_optional: bool = True,
    vouches: bool = True,
    price_provider: str | None = None,
) -> Surface:
    """Return the surface of a server that speaks chat completions."""
    return Surface(
        name=name,
        adapter="pipeline.vendors.compatible.adapter",
        key_variables=key_variables,
        price_provider=price_provider,
        models=(),
        capabilities=no_table,
        vendor_row=ROW,
        default_base_url=default_base_url,
        apis=APIS,
        key_optional=key_optional,
        vouches=vouches,
        address_variables=address_variables,
        address=lambda environ: with_v1(first_set(environ, address_variables)),
        tools="either",
        schema="strict",
        caching="automatic",
        streaming=True,
    )


def first_set(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Return the value of the first of these variables that holds one."""
    return next((value for name in names if (value := environ.get(name, "").strip())), None)


def with_v1(address: str | None, path: str = "/v1") -> str | None:
    """Return an address with the path the protocol lives under, where it names none."""
    if address is None or urlsplit(address).path.rstrip("/"):
        return address
    return address.rstrip("/") + path


SURFACE = preset("compatible", key_variables=(), address_variables=(), default_base_url=None)
