"""Read token counts that may be missing but never wrong."""

from collections.abc import Mapping
from typing import Any

from stages.model import ModelError


def count(said: Any, name: str) -> int:
    """Return the number of tokens called `name`, 0 where it or the whole object is left out.

    :raises ModelError: kind protocol for anything but a whole number from 0.
    """
    value = said.get(name) if isinstance(said, Mapping) else None
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ModelError("protocol", f"the usage has {name} = {value!r}")
