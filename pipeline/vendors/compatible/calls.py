"""The calls of a streamed completion, put together from their pieces in whichever way their server cuts them."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.vendors._stream import Piece

_FIRST_COUNTS = frozenset({"id", "index"})  # one server gives every piece an id of its own


class Calls:
    """The calls of one reply as far as they have come, in the form of a whole completion."""

    def __init__(self) -> None:
        self.listed: list[Piece] = []

    def add(self, piece: Any) -> int:
        """Add a piece of a call to its call; return the characters of its arguments."""
        if not isinstance(piece, dict):
            self.listed.append({"unreadable": piece})  # the reader of whole completions refuses it
            return 0
        call, function = self._call_of(piece), piece.get("function")
        for name, value in piece.items():
            if name != "function" and value not in (None, "") and not (name in _FIRST_COUNTS and name in call):
                call[name] = value
        return _grow(call.setdefault("function", {}), function) if isinstance(function, dict) else 0

    def _call_of(self, piece: Mapping[str, Any]) -> Piece:
        """Return the call a piece belongs to. Some servers leave the index out, or give every call the same."""
        index, identity = piece.get("index"), piece.get("id")
        begun = [call for call in self.listed if index is None or call.get("index") == index]
        known = [call for call in begun if identity and call.get("id") == identity]
        if known:
            return known[-1]
        if not begun or _begins_another(begun[-1], piece):
            self.listed.append({})
            return self.listed[-1]
        return begun[-1]


def _begins_another(last: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    """Say whether a piece begins a call after `last`: then it has a name, and an id or a finished call before it."""
    function, before = piece.get("function"), last.get("function") or {}
    name = function.get("name") if isinstance(function, dict) else None
    if not name or piece.get("id"):
        return bool(name)
    more = str(function.get("arguments") or "") if isinstance(function, dict) else ""
    return (name != before.get("name") or more.lstrip().startswith("{")) and _is_whole(before.get("arguments"))


def _is_whole(arguments: Any) -> bool:
    if not isinstance(arguments, str):
        return isinstance(arguments, dict)
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def _grow(known: Piece, function: Mapping[str, Any]) -> int:
    """Add a piece of a call's function; return the characters of its arguments."""
    name, before = function.get("name"), known.get("name")
    if isinstance(name, str) and isinstance(before, str) and not known.get("arguments"):
        # Some servers cut a name in two, others say it again with every piece.
        known["name"] = name if name.startswith(before) else before + name
    known |= {field: value for field, value in function.items() if field != "arguments" and not known.get(field)}
    added = function.get("arguments")
    if isinstance(added, str):
        known["arguments"] = f"{known.get('arguments') or ''}{added}"
    elif added is not None:
        known["arguments"] = added
    return len(str(added or ""))
