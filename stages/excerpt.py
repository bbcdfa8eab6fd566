"""Shorten a long text to its head and its tail, and say how much is missing."""


def excerpt(text: str, limit: int = 30_000) -> str:
    """Return `text` in at most `limit` characters; what was cut is counted on a line of its own."""
    if len(text) <= limit:
        return text
    room = limit - len(_cut(len(text)))
    if room <= 0:
        return text[:limit]
    head = room - room // 2
    tail = room // 2
    return text[:head] + _cut(len(text) - room) + text[len(text) - tail :]


def _cut(characters: int) -> str:
    return f"\n[... {characters} characters cut ...]\n"
