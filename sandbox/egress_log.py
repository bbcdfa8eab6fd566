"""What was asked for through the proxy of a sandbox, and what became of it: hosts and counts, never paths."""

from dataclasses import dataclass, replace

MOST_ROWS = 200
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Passage:
    """Connections to one host that had one fate. `refused` is the reason, None for those that were let through."""

    host: str
    port: int
    refused: str | None
    connections: int = 0
    sent: int = 0
    received: int = 0

    def line(self) -> str:
        """Return it as a person reads it."""
        where = f"{self.host}:{self.port}" if self.port else self.host
        if self.refused is not None:
            return f"refused {where} ({self.refused}), {self.connections} times"
        return f"reached {where}, {self.connections} connections, {self.sent} bytes out, {self.received} in"


class EgressLog:
    """Counts passages; a flood of different hosts ends in one row."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int, str | None], Passage] = {}

    def note(
        self,
        host: str,
        port: int,
        refused: str | None = None,
        *,
        connections: int = 1,
        sent: int = 0,
        received: int = 0,
    ) -> None:
        """Add to a row."""
        key = host, port, refused
        if key not in self._rows and len(self._rows) >= MOST_ROWS:
            key = OTHERS, 0, refused
        row = self._rows.get(key, Passage(*key))
        self._rows[key] = replace(
            row, connections=row.connections + connections, sent=row.sent + sent, received=row.received + received
        )

    def passages(self) -> tuple[Passage, ...]:
        """Return every row, in the order first seen."""
        return tuple(self._rows.values())
