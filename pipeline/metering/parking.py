"""How often a run was parked in a row: a vendor that is never there is an outage, not a wait; pure."""

from collections.abc import Iterable

from pipeline.events import AnyEvent, CallSettled, RunEnded

MOST_PARKS = 3


def parks_in_a_row(events: Iterable[AnyEvent]) -> int:
    """Count the endings `parked` since the last settled call."""
    count = 0
    for event in events:
        match event:
            case CallSettled():
                count = 0
            case RunEnded(status="parked"):
                count += 1
            case _:  # nothing else says whether a vendor answers
                pass
    return count
