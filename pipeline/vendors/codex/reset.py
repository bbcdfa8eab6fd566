"""Reads when a used-up window of a ChatGPT plan begins anew, as in `try again at Nov 21st, 2026 1:11 PM`."""

import re
from datetime import UTC, datetime, timedelta

_AGAIN = re.compile(
    r"try again at (?:(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2})\w{2}, (?P<year>\d{4}) )?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d) (?P<half>[AP]M)"
)
_IN = re.compile(r"try again in (?P<span>[^.]+)")
_PART = re.compile(r"(\d+) (day|hour|minute|second)")
_SECONDS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
MINUTE = 60.0  # the time is told to the minute, and may be cut off


def seconds_until(said: str, now: float) -> float | None:
    """Return the seconds from `now` (UTC seconds) that a sentence names, None where it names no time.

    The program is run in UTC. A time without a date is the next one.
    """
    found = _AGAIN.search(said)
    if found is None:
        return _span(said)
    today = datetime.fromtimestamp(now, UTC)
    at = _moment(found, today)
    if at is None:
        return None
    if found["month"] is None and at < today - timedelta(minutes=1):
        at += timedelta(days=1)
    return max(0.0, (at - today).total_seconds()) + MINUTE


def _moment(found: re.Match[str], today: datetime) -> datetime | None:
    hour = int(found["hour"]) % 12 + (12 if found["half"] == "PM" else 0)
    try:
        if found["month"] is None:
            return today.replace(hour=hour, minute=int(found["minute"]), second=0, microsecond=0)
        date = datetime.strptime(f"{found['month']} {found['day']} {found['year']}", "%b %d %Y").replace(tzinfo=UTC)
        return date.replace(hour=hour, minute=int(found["minute"]))
    except ValueError:
        return None


def _span(said: str) -> float | None:
    found = _IN.search(said)
    parts = _PART.findall(found["span"]) if found else []
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts)) if parts else None
