"""What a berth costs a month."""

BASE_CENTS = 4_000
CENTS_PER_METRE = 1_250
LONG_BOAT_METRES = 12.0
LONG_BOAT_SURCHARGE = 0.2


def monthly_rate(length_metres: float) -> int:
    """Return the monthly rate, in cents, of a berth for a boat of this length.

    :raises ValueError: the length is not positive.
    """
    if length_metres <= 0:
        raise ValueError(f"a boat of {length_metres} m has no berth")
    rate = BASE_CENTS + CENTS_PER_METRE * length_metres
    if length_metres > LONG_BOAT_METRES:
        rate += rate * LONG_BOAT_SURCHARGE
    return round(rate)
