"""How often a run was parked in a row: a vendor that is never there is an outage, not a wait; pure."""

from collections.abc import Iterable

from pipeline.events import AnyEvent, CallRefused, CallSettled, RunEnded

MOST_PARKS = 3


def parks_in_a_row(events: Iterable[AnyEvent]) -> int:
    """Count the stretches without a settled call in which the vendor said no, the one under way included.

    A stretch that only knew the time from an earlier word of the vendor's asked nobody, and does not count.
    """
    count, asked = 0, False
    for event in events:
        match event:
            case CallSettled():
                count, asked = 0, False
            case CallRefused():
                asked = True
            case RunEnded(status="parked"):
                count, asked = count + asked, False
            case _:  # nothing else says whether a vendor answers
                pass
    return count + asked
