"""Ask a vendor how many input tokens a request has, for a call whose own bound is too wide to fit."""

import anyio

from stages.model import Model, Request

PATIENCE = 15.0  # seconds: counting generates nothing, and one that hangs must not eat the attempt


async def exact_count(model: Model, request: Request, remaining: float) -> int | None:
    """Return the vendor's count, None when it has none within the time: the call then goes by its own bound."""
    with anyio.move_on_after(max(0.0, min(PATIENCE, remaining))):
        try:
            return await model.count_tokens(request)
        except Exception:  # noqa: BLE001 - counting only helps: whatever ails it, the call's own bound still holds
            return None
    return None
