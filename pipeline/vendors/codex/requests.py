"""Follows the requests of `codex` in its log, as it answers calls of tools that nobody offered, and asks again."""

import re
from dataclasses import dataclass, field

from stages.model import Usage

LOGGED = "off,codex_otel.log_only=info,codex_core::stream_events_utils=info"  # what RUST_LOG lets through
_REQUEST = re.compile(
    r'^[0-9T:.-]+Z +INFO codex_otel\.log_only: event\.name="codex\.api_request" .*endpoint="/responses"'
)
_CALL = re.compile(r"^[0-9T:.-]+Z +INFO codex_core::stream_events_utils: ToolCall: (?P<name>\S+)")
_COUNTS = re.compile(
    r'^[0-9T:.-]+Z +INFO codex_otel\.log_only: event\.name="codex\.sse_event" event\.kind=response\.completed '
    r"input_token_count=(?P<input>\d+) output_token_count=(?P<output>\d+) cached_token_count=(?P<cache_read>\d+) "
    r"cache_write_token_count=(?P<cache_write>\d+) reasoning_token_count=(?P<reasoning>\d+)"
)


@dataclass(slots=True)
class Requests:
    """What the log of one run says."""

    begun: int = 0
    called: list[str] = field(default_factory=list)
    first: Usage | None = None

    def heard(self, line: str) -> bool:
        """Take a line of the log; True once a reply is whole that the program would answer by itself."""
        if _REQUEST.search(line):
            self.begun += 1
        call, counts = _CALL.search(line), _COUNTS.search(line)
        if call:
            self.called.append(call["name"])
        if counts and self.first is None:
            said = {name: int(number) for name, number in counts.groupdict().items()}
            self.first = Usage(
                said["input"], said["cache_read"], said["cache_write"], said["output"], said["reasoning"]
            )
        return bool(self.called) and self.first is not None
