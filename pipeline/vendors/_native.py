"""Wrap a vendor's own JSON of a turn, so that only the same vendor and model ever sees it again."""

from typing import Any

from pipeline.vendors._halves import sendable
from stages.model import ModelTurn


def seal(vendor: str, model: str, content: Any) -> dict[str, Any]:
    """Return `content` marked with who made it; reasoning is worth nothing, or an error, anywhere else."""
    return {"vendor": vendor, "model": model, "content": sendable(content)}


def unseal(turn: ModelTurn, vendor: str, model: str) -> Any | None:
    """Return a turn's own JSON, None when another vendor or model made it."""
    native = turn.native
    if not isinstance(native, dict) or (native.get("vendor"), native.get("model")) != (vendor, model):
        return None
    return native.get("content")
