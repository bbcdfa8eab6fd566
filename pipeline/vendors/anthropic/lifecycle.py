"""Read what Anthropic says about a model's end; gateways that say nothing are not asked to."""

from collections.abc import Mapping
from typing import Any

from pipeline.surface import Lifecycle


def lifecycle(body: Mapping[str, Any]) -> Lifecycle | None:
    """Return a model's stage and the date it retires on, None where the answer has no stage we know."""
    date = body.get("retires_at")
    retires_on = date[:10] if isinstance(date, str) and date else None
    match body.get("lifecycle"):
        case "active" | "deprecated" | "retired" as stage:
            return Lifecycle(stage, retires_on)
        case _:
            return None
