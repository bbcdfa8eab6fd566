"""What a gate says no to, and how several of them become one failure the next attempt can act on."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.artifacts import Failure

_LISTED = 30


@dataclass(frozen=True, slots=True)
class Rejection:
    """One problem: a stable code, where, what is wrong, and what was expected instead of what."""

    code: str
    location: str
    message: str
    expected: str | None = None
    actual: str | None = None


def as_failure(rejections: Sequence[Rejection]) -> Failure | None:
    """Return one failure that lists every rejection; its code and place are the first one's."""
    if not rejections:
        return None
    first = rejections[0]
    lines = [f"{number}. {_line(rejection)}" for number, rejection in enumerate(rejections[:_LISTED], start=1)]
    if len(rejections) > _LISTED:
        lines.append(f"… and {len(rejections) - _LISTED} more")
    message = _line(first) if len(rejections) == 1 else "\n".join([f"{len(rejections)} problems:", *lines])
    return Failure(
        kind="gate",
        code=first.code,
        message=message,
        location=first.location,
        expected=first.expected,
        actual=first.actual,
    )


def _line(rejection: Rejection) -> str:
    return f"[{rejection.code}] {rejection.location}: {rejection.message}"
