"""Amounts of money as whole cents."""


def text(cents: int) -> str:
    """Return an amount as a statement shows it, such as `1,234.50`."""
    sign = "-" if cents < 0 else ""
    units, rest = divmod(abs(cents), 100)
    return f"{sign}{units:,}.{rest:02}"
