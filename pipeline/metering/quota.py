"""Says why what a subscription pays for has no cost in dollars."""

from pipeline.loader import UnknownVendorError, surface


def quota(vendor: str) -> str | None:
    """Return who pays for a vendor's calls where it is a subscription, None where calls have a price."""
    try:
        program = surface(vendor).program
    except UnknownVendorError:
        return None
    return f"paid by the subscription that `{program.name}` is logged in with" if program else None
