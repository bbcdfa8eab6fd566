"""What a call asks of the ledger, and the answers it can get besides a reservation."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.memory.budget import Need
from pipeline.memory.calls import Seat
from pipeline.memory.pace import Lane
from stages.model import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A call that wants to start. `lease` is UTC seconds since the epoch: by then it is over, or counts as spent.

    It waits its turn in `lane`; one that `insists` asks a vendor although it named a later time.
    `countable` says that the vendor was not asked yet how long the request is, `counted` that its answer bounds it.
    """

    seat: Seat
    turn: int
    request: Request
    need: Need
    lease: float
    price: Mapping[str, str] | None = None
    lane: Lane | None = None
    insists: bool = False
    countable: bool = False
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Uncounted:
    """The call does not fit with its bound: ask again with an exact count of its input. Nothing is held."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The call may not start yet: what others hold is over in `seconds` at most."""

    key: str
    seconds: float
